"""What a server counts, in Prometheus' text format."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)


class ServerMetrics:
    """The counters of one server; a registry of its own, so that two servers of a process do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "shortlist_requests", "Requests by protocol, signature and code.", ["protocol", "signature", "code"],
            registry=self.registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "shortlist_request_seconds", "Seconds from request to answer.", ["protocol", "signature"],
            buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        self.rungs = Counter(
            "shortlist_recommendations", "Recommended rows by the rung of the ladder that answered.", ["rung"],
            registry=self.registry,
        )  # fmt: skip
        self.version = Gauge("shortlist_model_version", "The version that answers.", registry=self.registry)
        self.refused = Counter(
            "shortlist_refused_versions", "Versions that were damaged or did not load.", registry=self.registry
        )

    def text(self) -> bytes:
        """Return the metrics as Prometheus reads them."""
        return generate_latest(self.registry)
