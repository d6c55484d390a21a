from __future__ import annotations

import pytest

from orchestration.failure import find_error
from settings.errors import ConfigError, DataError


def test_an_error_of_ours_is_found_as_it_is() -> None:
    error = find_error(DataError("a.csv: empty"))
    assert (type(error), str(error)) == (DataError, "a.csv: empty")


def test_what_beam_adds_is_taken_away_again() -> None:
    text = "a.csv: empty.\n  Expected rows [while running 'Read/Lines'] [while running 'Run[ExampleGen]']"
    assert str(find_error(DataError(text))) == "a.csv: empty.\n  Expected rows"


def test_an_error_of_ours_is_found_behind_another() -> None:
    def wrapped() -> None:
        try:
            raise ConfigError("gate: has no threshold")
        except ConfigError as error:
            raise RuntimeError("bundle failed") from error

    with pytest.raises(RuntimeError) as caught:
        wrapped()
    error = find_error(caught.value)
    assert (type(error), str(error)) == (ConfigError, "gate: has no threshold")


def test_an_error_of_ours_is_read_from_the_traceback_of_a_worker_process() -> None:
    text = (
        "Traceback (most recent call last):\n"
        '  File "reader.py", line 5, in process\n'
        '    raise DataError("x")\n'
        "settings.errors.DataError: a.csv, line 3: has 2 fields.\n"
        "  Expected 4\n"
        "\n"
        "During handling of the above exception, another exception occurred:\n"
        "\n"
        "Traceback (most recent call last):\n"
        "settings.errors.DataError: a.csv, line 3: has 2 fields.\n"
        "  Expected 4 [while running 'ParDo(Read)']\n"
    )
    error = find_error(RuntimeError(text))
    assert (type(error), str(error)) == (DataError, "a.csv, line 3: has 2 fields.\n  Expected 4")


@pytest.mark.parametrize(
    "error",
    [
        KeyError("column"),
        RuntimeError("settings.errors.NoSuchError: x"),
        RuntimeError("see settings.errors.DataError: x"),
    ],
)
def test_what_is_not_ours_is_not_taken_for_it(error: Exception) -> None:
    assert find_error(error) is None
