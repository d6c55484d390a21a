"""Writes the generated parts of docs/models.md: `python -m benchmarks.quality.table`.

The registry's tables come from the models, the measured ones from benchmarks/results/quality/, and beside them the
published figures and what peer libraries reached on the same rows (benchmarks/quality/peers.json).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.measurement import RESULTS
from orchestration.commands.models import describe_models
from reporting.models_docs import model_section

PAGE = Path(__file__).resolve().parents[2] / "docs" / "models.md"
_PEERS = Path(__file__).with_name("peers.json")

_NEXT_ITEM = ("ndcg@10", "hit_rate@10", "ndcg@10 of 100 sampled", "hit_rate@10 of 100 sampled")
# Protocol -> title, and the measures shown: the first one orders the rows; with a - in front, lower is better.
_SHOWN: dict[str, tuple[str, tuple[str, ...]]] = {
    "criteo": ("Criteo, 8,000 rows, 800 of them test", ("auc", "log_loss")),
    "criteo_folds": ("The same, each tenth tested in turn", ("auc", "log_loss")),
    "clicks_1m": ("MovieLens 1M as clicks", ("auc", "log_loss")),
    "ratings_small": (
        "MovieLens latest-small (2016), random 80/20",
        ("-rmse", "auc", "ndcg strict", "ndcg normal", "precision@10 strict", "precision@10 normal"),
    ),
    "ratings_100k": ("MovieLens 100K, folds u1 to u5", ("-rmse",)),
    "cold_items_100k": ("MovieLens 100K, films without a rating, by id, genres and year", ("ndcg@10", "hit_rate@10")),
    "cold_items_100k_titles": ("The same, and the words of their titles", ("ndcg@10", "hit_rate@10")),
    "next_item_1m": ("MovieLens 1M, leave-one-out by time, full catalogue (and 100 sampled negatives)", _NEXT_ITEM),
    "next_item_published": ("The same, in the order that SASRec's authors published", _NEXT_ITEM),
}


def measured_section() -> str:
    """Return Markdown: a table a protocol, best first, peers and published figures among our rows."""
    peers = json.loads(_PEERS.read_text())
    parts = []
    for protocol, (title, names) in _SHOWN.items():
        files = sorted((RESULTS / "quality" / protocol).glob("*.json"))
        results = [json.loads(path.read_text()) for path in files]
        rows = [(_name(r), r["mean"], r["deviation"], r["seeds"]) for r in results]
        rows += [
            (peer["name"], peer["mean"], peer.get("deviation", {}), peer.get("seeds", 1))
            for peer in peers.get(protocol, [])
        ]
        order = names[0].removeprefix("-")
        rows.sort(key=lambda row: row[1].get(order, 0.0), reverse=not names[0].startswith("-"))
        shown = [name.removeprefix("-") for name in names]
        lines = [f"### {title}", "", "| model | " + " | ".join(shown) + " |", "|---|" + "---|" * len(shown)]
        lines += [f"| {name} | " + " | ".join(_cell(n, *of) for n in shown) + " |" for name, *of in rows]
        if results:
            commits = sorted({r["commit"][:7] for r in results})
            lines += ["", f"Measured at {', '.join(commits)} on {results[0]['cores']} cores, {results[0]['system']}."]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _name(result: dict[str, Any]) -> str:
    """Return what a row is called: a peer by its name, ours as code, with what else has to be said of it."""
    if "entry" not in result:
        return str(result["name"])
    told = " (test rows leaking into counts and means)" if "all rows" in result["protocol"] else ""
    return f"`{result['entry']}`{told}"


def _cell(name: str, mean: dict[str, float], deviation: dict[str, float], seeds: int) -> str:
    if name not in mean:
        return ""
    spread = f" ± {deviation[name]:.4f}" if seeds > 1 and name in deviation else ""
    return f"{mean[name]:.4f}{spread}"


def replaced(page: str, name: str, section: str) -> str:
    r"""Return the page with what stands between the marks of `name` replaced.

    >>> replaced("a <!-- x begins -->old<!-- x ends --> b", "x", "new")
    'a <!-- x begins -->\nnew\n<!-- x ends --> b'
    """
    begin, end = f"<!-- {name} begins -->", f"<!-- {name} ends -->"
    before, _, rest = page.partition(begin)
    return f"{before}{begin}\n{section}\n{end}{rest.partition(end)[2]}"


def render() -> str:
    """Return docs/models.md with its generated parts as they should be."""
    page = replaced(PAGE.read_text(), "registry", model_section(describe_models()))
    return replaced(page, "measured", measured_section())


if __name__ == "__main__":
    PAGE.write_text(render())
