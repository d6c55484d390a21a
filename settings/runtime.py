"""Where and with what the pipeline runs."""

from __future__ import annotations

from pydantic import Field

from settings.section import Section


class BeamSettings(Section):
    """Options handed to Apache Beam."""

    # In-process: the default runner would fetch a Go engine where it finds a network, and multi_threading loses rows.
    # The image is never pulled by this runner; unnamed, TFX would pack itself for remote workers at every node.
    args: tuple[str, ...] = Field(
        ("--runner=FnApiRunner", "--sdk_container_image=in-process"), description="Beam pipeline arguments."
    )


class PushSettings(Section):
    """Where blessed models go."""

    keep: int = Field(5, ge=1, description="Versions kept in the serving directory.")
