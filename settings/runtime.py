"""Where and with what the pipeline runs."""

from __future__ import annotations

from pydantic import Field

from settings.section import Section


class BeamSettings(Section):
    """Options handed to Apache Beam."""

    # In-process: the default runner would fetch a Go engine where it finds a network, and multi_threading loses rows.
    args: tuple[str, ...] = Field(("--runner=FnApiRunner",), description="Beam pipeline arguments.")


class PushSettings(Section):
    """Where blessed models go."""

    keep: int = Field(5, ge=1, description="Versions kept in the serving directory.")
