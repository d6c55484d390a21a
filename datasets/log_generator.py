"""Service and click logs of a made-up TV menu, of any size, with the truth beside them.

Who watches what: every user has a taste over genres. A watch history holds programmes of the user's genres. A page
offers rows, drawn by popularity (a power law) and taste, the best guess on top.

What is clicked: a user examines slot s with probability (1 + s) ** -0.6 (position bias) and clicks what was examined
and attracts; of several the first is clicked first, and the user goes on to another page after the last click.

What goes wrong, in the shares below: clicks that come after the window, clicks and pages delivered twice, double clicks
on an item, and clicks on what was never shown. A user's next page is served only after the clicks of the one before, so
every click has one true page.

    python -m datasets.log_generator FOLDER --num-pages 2000000 --num-users 200000

    <folder>/<day>/service-00000.jsonl   request_id, user_id, timestamp, watch_history, candidates
    <folder>/<day>/clicks-00000.jsonl    user_id, timestamp, item_id
    <folder>/truth.parquet               request_id, user_id, clicked (slots from 0, in the order of the clicks)
    <folder>/truth.json                  the numbers of `click_join.JoinCounts`
"""

from __future__ import annotations

import argparse
import datetime
import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from datasets.click_join import JoinCounts
from settings.data import GeneratedLogs

MENU_LENGTH = 10
HISTORY_LENGTH = 20
WINDOW_SECONDS = 120
_NUM_GENRES = 8
_LATE, _DOUBLE, _REPEATED, _TWICE, _PAGE_TWICE, _NEVER_SHOWN = 0.02, 0.03, 0.02, 0.02, 0.005, 0.01
_DAY = 86_400
_CHUNK = 10_000
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _World:
    """Tastes `(num_users, genres)`, the genre of each row and programme, and the log popularity of each row."""

    tastes: Floats
    item_genre: Ints
    programme_genre: Ints
    popularity: Floats


@dataclass(frozen=True)
class _Clicks:
    """Clicks, none twice: page and slot they were made on (slot -1: on what was not shown), and what they come to."""

    page: Ints
    slot: Ints
    user: Ints
    time: Ints
    item: Ints
    fate: NDArray[np.str_]


def generate(settings: GeneratedLogs, folder: Path) -> JoinCounts:
    """Write logs and truth to a folder that does not exist yet; it appears whole or not at all.

    The same settings give the same bytes.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".staging-") as staging:
        target = Path(staging, "logs")
        counts = _write(settings, target)
        target.rename(folder)
    return counts


def _write(settings: GeneratedLogs, folder: Path) -> JoinCounts:
    random = np.random.default_rng(settings.seed)
    world = _world(settings, random)
    user, time, menu, clicks = _pages_and_clicks(settings, world, random)
    pages_twice = np.flatnonzero(random.random(len(user)) < _PAGE_TWICE)
    clicks_twice = np.flatnonzero(random.random(len(clicks.user)) < _TWICE)
    page_lines = np.concatenate([np.arange(len(user)), pages_twice])
    page_lines = page_lines[np.argsort(time[page_lines] + random.integers(0, 30, len(page_lines)), kind="stable")]
    click_lines = np.concatenate([np.arange(len(clicks.user)), clicks_twice])
    click_lines = click_lines[np.argsort(clicks.time[click_lines], kind="stable")]
    first = datetime.datetime.fromisoformat(settings.first_day).replace(tzinfo=datetime.UTC)
    start = int(first.timestamp())
    for day in range(settings.num_days):
        into = folder / (first + datetime.timedelta(days=day)).date().isoformat()
        into.mkdir(parents=True)
        with (into / "service-00000.jsonl").open("w") as file:
            for chunk in _chunks(page_lines[_on_day(time[page_lines], day, settings.num_days)]):
                watched = _histories(world, user[chunk], chunk, settings.seed)
                file.writelines(_page_lines(chunk, user, start + time, watched, menu))
        rows = click_lines[_on_day(clicks.time[click_lines], day, settings.num_days)]
        with (into / "clicks-00000.jsonl").open("w") as file:
            file.writelines(
                f'{{"user_id": "u{u}", "timestamp": {t}, "item_id": "row{i}"}}\n'
                for u, t, i in zip(clicks.user[rows], start + clicks.time[rows], clicks.item[rows], strict=True)
            )
    return _write_truth(folder, user, clicks, len(pages_twice), len(clicks_twice))


def _on_day(time: Ints, day: int, num_days: int) -> NDArray[np.bool_]:
    """Return what a day's logs hold; the last day's also what comes after its midnight."""
    return np.minimum(time // _DAY, num_days - 1) == day


def _world(settings: GeneratedLogs, random: np.random.Generator) -> _World:
    return _World(
        tastes=random.dirichlet(np.full(_NUM_GENRES, 0.3), settings.num_users),
        item_genre=random.integers(0, _NUM_GENRES, settings.num_items),
        programme_genre=np.arange(settings.num_programmes) % _NUM_GENRES,
        popularity=-np.log(1 + random.permutation(settings.num_items)),
    )


def _pages_and_clicks(
    settings: GeneratedLogs, world: _World, random: np.random.Generator
) -> tuple[Ints, Ints, Ints, _Clicks]:
    """Return user, second since the first day and menu of each page, page after page of each user, and true clicks."""
    weight = 1.0 / np.sqrt(1 + np.arange(settings.num_users))
    user = np.sort(random.choice(settings.num_users, settings.num_pages, p=weight / weight.sum()))
    menu = np.empty((len(user), MENU_LENGTH), np.int64)
    clicked = np.empty((len(user), MENU_LENGTH), bool)
    bias = (1.0 + np.arange(MENU_LENGTH)) ** -0.6
    for chunk in _chunks(np.arange(len(user))):
        taste = np.log(world.tastes[user[chunk]] + 1e-3)[:, world.item_genre]
        noise = random.gumbel(size=taste.shape)
        menu[chunk] = np.argsort(-(world.popularity + 0.5 * taste + noise), axis=1)[:, :MENU_LENGTH]
        attraction = 0.6 * np.sqrt(world.tastes[user[chunk][:, None], world.item_genre[menu[chunk]]])
        clicked[chunk] = random.random(attraction.shape) < attraction * bias
    # Of most pages only the first slot that was clicked stays.
    several = random.random(len(user)) < _DOUBLE
    earlier = np.cumsum(clicked, axis=1) - clicked
    clicked &= earlier < np.where(several, 2, 1)[:, None]
    page, slot = np.nonzero(clicked)
    seconds = 2 + np.minimum(random.exponential(20.0, len(page)).astype(np.int64), 50)
    is_late = random.random(len(page)) < _LATE
    second = np.concatenate([[False], page[1:] == page[:-1]])
    delay = seconds + np.where(second, np.roll(seconds, 1) + 1, 0)
    delay = np.where(is_late, WINDOW_SECONDS + 1 + random.integers(0, 500, len(page)), delay)
    # Some click again a second later; and some on what no page has ever shown.
    again = np.flatnonzero(~is_late & (random.random(len(page)) < _REPEATED))
    never = np.flatnonzero(random.random(len(user)) < _NEVER_SHOWN)
    fate = np.where(is_late, "late", "joined")
    fate = np.concatenate([fate, np.full(len(again), "repeated"), np.full(len(never), "unmatched")])
    item = np.concatenate([menu[page, slot], menu[page[again], slot[again]], np.full(len(never), settings.num_items)])
    delay = np.concatenate([delay, delay[again] + 1, np.ones(len(never), np.int64)])
    slot = np.concatenate([slot, slot[again], np.full(len(never), -1)])
    page = np.concatenate([page, page[again], never])
    busy = np.zeros(len(user), np.int64)
    np.maximum.at(busy, page, delay)
    time = _times(settings, user, busy, random)
    return user, time, menu, _Clicks(page, slot, user[page], time[page] + delay, item, fate)


def _times(settings: GeneratedLogs, user: Ints, busy: Ints, random: np.random.Generator) -> Ints:
    """Return when each page was served, as seconds since the first day; after the clicks of the user's page before."""
    gap = np.minimum(random.exponential(1.0, len(user)), 6.0)
    totals = np.bincount(user, weights=gap, minlength=settings.num_users) + 1.0
    needed = np.bincount(user, weights=busy + 1, minlength=settings.num_users)
    free = np.maximum(settings.num_days * _DAY - needed, 0) / totals
    new_user = np.concatenate([[True], user[1:] != user[:-1]])
    first = np.maximum.accumulate(np.where(new_user, np.arange(len(user)), 0))
    busy_before, idle_before = np.cumsum(busy + 1) - (busy + 1), np.cumsum(gap) - gap
    idle = idle_before - idle_before[first] + gap
    return busy_before - busy_before[first] + (idle * free[user]).astype(np.int64)


def _histories(world: _World, user: Ints, page: Ints, seed: int) -> list[list[int]]:
    """Return what each user had watched before a page, programmes of the user's genres; some had watched nothing."""
    per_genre = len(world.programme_genre) // _NUM_GENRES
    share = np.cumsum(world.tastes[user], axis=1)
    drawn = _uniform(seed, page, 2 * HISTORY_LENGTH + 1)
    genre = (drawn[:, :HISTORY_LENGTH, None] > share[:, None, :]).sum(axis=2).clip(max=_NUM_GENRES - 1)
    rank = (per_genre * drawn[:, HISTORY_LENGTH:-1] ** 2).astype(np.int64)
    length = ((HISTORY_LENGTH + 1) * drawn[:, -1]).astype(np.int64)
    return [row[:n].tolist() for row, n in zip(rank * _NUM_GENRES + genre, length, strict=True)]


def _uniform(seed: int, row: Ints, num_columns: int) -> Floats:
    """Return numbers in [0, 1) that depend on seed, row and column alone (SplitMix64), so a page has one history."""
    step = np.uint64(0x9E3779B97F4A7C15)
    place = (row[:, None] * num_columns + np.arange(num_columns)).astype(np.uint64) + np.uint64(seed << 40)
    mixed = (place + np.uint64(1)) * step
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (mixed ^ (mixed >> np.uint64(31))).astype(np.float64) / 2.0**64 * (1 - 2.0**-53)


def _page_lines(rows: Ints, user: Ints, time: Ints, watched: list[list[int]], menu: Ints) -> Iterator[str]:
    for number, u, t, programmes, items in zip(rows, user[rows], time[rows], watched, menu[rows].tolist(), strict=True):
        history = ", ".join(f'"p{programme}"' for programme in programmes)
        candidates = ", ".join(f'"row{item}"' for item in items)
        yield (
            f'{{"request_id": "r{number:09d}", "user_id": "u{u}", "timestamp": {t}, '
            f'"watch_history": [{history}], "candidates": [{candidates}]}}\n'
        )


def _write_truth(folder: Path, user: Ints, clicks: _Clicks, pages_twice: int, clicks_twice: int) -> JoinCounts:
    """Write which slots of each page were clicked, and the counts that a right join gives."""
    true = np.flatnonzero(clicks.fate == "joined")
    true = true[np.lexsort((clicks.time[true], clicks.page[true]))]
    num_clicks = np.bincount(clicks.page[true], minlength=len(user))
    offsets = pa.array(np.concatenate([[0], np.cumsum(num_clicks)]), pa.int32())
    truth = {
        "request_id": pa.array([f"r{number:09d}" for number in range(len(user))]),
        "user_id": pa.array([f"u{number}" for number in user]),
        "clicked": pa.ListArray.from_arrays(offsets, pa.array(clicks.slot[true], pa.int32())),
    }
    pq.write_table(pa.table(truth), folder / "truth.parquet")
    fates = {fate: int((clicks.fate == fate).sum()) for fate in ("joined", "repeated", "late", "unmatched")}
    counts = JoinCounts(
        pages=len(user) + pages_twice,
        duplicate_pages=pages_twice,
        pages_with_click=int((num_clicks > 0).sum()),
        clicks=len(clicks.user) + clicks_twice,
        duplicate_clicks=clicks_twice,
        **fates,
    )
    (folder / "truth.json").write_text(json.dumps(asdict(counts), indent=2) + "\n")
    return counts


def _chunks(rows: Ints) -> Iterator[Ints]:
    return (rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK))


def main() -> None:
    """Write logs of the size that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    for name, field in GeneratedLogs.model_fields.items():
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=type(field.default), default=field.default, help=field.description)
    options = vars(parser.parse_args())
    folder = options.pop("folder")
    if folder.exists():
        parser.error(f"{folder} is there already. Name a folder that is not")
    print(json.dumps(asdict(generate(GeneratedLogs(**options), folder)), indent=2))


if __name__ == "__main__":
    main()
