"""Every error that Shortlist raises on purpose, with the exit code its command ends with.

ShortlistError            1
├── ConfigError           2   a key, value or combination in the configuration
├── DataError             2   an input file: missing, empty, malformed
├── RequestError          2   a request to a pushed model: unknown user, bad k
├── DataAnomaliesError    3   statistics break the schema
├── NotBlessedError       4   the gate said no
└── InfraValidationError  5   the exported model does not load or answer
"""

from __future__ import annotations


class ShortlistError(Exception):
    """An error whose text names the place, what was found, what was expected and the remedy."""

    exit_code = 1


class ConfigError(ShortlistError):
    """The configuration is wrong."""

    exit_code = 2


class DataError(ShortlistError):
    """An input file or row is wrong."""

    exit_code = 2


class RequestError(ShortlistError):
    """A request to a pushed model is wrong."""

    exit_code = 2


class DataAnomaliesError(ShortlistError):
    """The data's statistics break the schema."""

    exit_code = 3


class NotBlessedError(ShortlistError):
    """The gate did not bless the candidate."""

    exit_code = 4


class InfraValidationError(ShortlistError):
    """The exported model does not load or does not answer."""

    exit_code = 5
