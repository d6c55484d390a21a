"""Cron expressions: checked before anything is submitted, where a typing error would mean a run that never comes."""

from __future__ import annotations

from settings.errors import ConfigError

_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of month", 1, 31), ("month", 1, 12), ("day of week", 0, 7))
_NAMES = {
    "month": ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    "day of week": ["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
}


def check_cron(expression: str) -> None:
    """Raise unless the expression has the five fields of cron, each in its range.

    Raises:
      ConfigError: with the field that is wrong.

    Example:
      >>> check_cron("0 3 * * 1-5")
    """
    fields = expression.split()
    if len(fields) != len(_FIELDS):
        raise ConfigError(
            f"cron {expression!r}: should have five fields (minute, hour, day of month, month, day of week), for "
            f"example '0 3 * * *' for 3 o'clock each night. Received: {len(fields)}"
        )
    for text, (name, low, high) in zip(fields, _FIELDS, strict=True):
        for part in text.split(","):
            if not _fits(part, name, low, high):
                raise ConfigError(f"cron {expression!r}: {name} should be within {low} to {high}. Received: {part!r}")


def for_kubeflow(expression: str) -> str:
    """Return the expression with the field for seconds in front, which Kubeflow's scheduler reads.

    Example:
      >>> for_kubeflow("0 3 * * *")
      '0 0 3 * * *'
    """
    check_cron(expression)
    return f"0 {expression}"


def _fits(part: str, name: str, low: int, high: int) -> bool:
    span, slash, step = part.partition("/")
    if slash and not (step.isdigit() and int(step) > 0):
        return False
    if span == "*":
        return True
    first, dash, last = span.partition("-")
    values = [_value(text, name) for text in ([first, last] if dash else [first])]
    return all(value is not None and low <= value <= high for value in values) and values == sorted(
        value for value in values if value is not None
    )


def _value(text: str, name: str) -> int | None:
    names = _NAMES.get(name, [])
    if text.lower() in names:
        return names.index(text.lower()) + (name == "month")
    return int(text) if text.isdigit() else None
