"""Times as people read them."""

from __future__ import annotations

import datetime


def clock(seconds: float) -> str:
    """Return a duration in the unit that fits it.

    Example:
      >>> clock(0.04), clock(6.78), clock(75.2), clock(7325)
      ('0.0 s', '6.8 s', '1 m 15 s', '2 h 02 m')
    """
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} m {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} m"


def day(timestamp: int | None) -> str:
    """Return the UTC date of a Unix time in seconds; a dash where there is none.

    Example:
      >>> day(874724710), day(None)
      ('1997-09-20', '-')
    """
    if timestamp is None:
        return "-"
    return datetime.datetime.fromtimestamp(timestamp, datetime.UTC).date().isoformat()
