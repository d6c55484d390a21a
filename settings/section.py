"""The base class of every configuration section."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A frozen group of settings that refuses unknown keys.

    Example:
      >>> class Window(Section):
      ...     days: int = 7
      >>> Window(days=3).days
      3
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())
