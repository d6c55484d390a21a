from __future__ import annotations

from collections import Counter
from pathlib import Path

import apache_beam as beam
import numpy as np
import pytest

from transforms import vocabulary_files
from transforms.vocabulary_files import NO_TOKEN, Vocabulary, WriteVocabularies

WANTED = (Vocabulary("letters", 2, None), Vocabulary("top", 1, 2), Vocabulary("empty", 1, None))
# Three batches, each a tuple of the tokens of three columns.
BATCHES = [
    ([b"a", b"b", b"a"], [b"x", b"x", b"y\n", b""], []),
    ([b"b", b"c"], [b"z", b"y", b"x", b"y\r"], [b""]),
    ([b"a"], [b"y", b"w"], []),
]


@pytest.mark.parametrize("max_held", [500_000, 1])
def test_counts_add_up_over_batches_and_bundles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, max_held: int) -> None:
    # With 1, counts leave memory after every batch and must be summed again behind it.
    monkeypatch.setattr(vocabulary_files, "MAX_HELD", max_held)
    write = WriteVocabularies(WANTED)
    write.base_temp_dir = str(tmp_path / "vocabularies")
    batches = [tuple(np.array(tokens, dtype=object) for tokens in batch) for batch in BATCHES]
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        paths = pipeline | beam.Create(batches, reshuffle=False) | write
        for number, path in enumerate(paths):
            _ = path | f"Path{number}" >> beam.Map(lambda found, n=number: (tmp_path / f"{n}").write_text(str(found)))

    for number, vocabulary in enumerate(WANTED):
        assert (tmp_path / str(number)).read_text() == str(tmp_path / "vocabularies" / vocabulary.name)
    written = {v.name: (tmp_path / "vocabularies" / v.name).read_bytes().splitlines() for v in WANTED}
    letters = Counter(token for batch in BATCHES for token in batch[0])
    assert letters == {b"a": 3, b"b": 2, b"c": 1}
    assert written["letters"] == [b"a", b"b"]  # c is seen once, below min_count
    assert written["top"] == [b"x", b"y"]  # 3 and 2 times; w and z, once each, are beyond top_k
    assert written["empty"] == [NO_TOKEN]


def test_an_earlier_vocabulary_keeps_its_order_and_new_tokens_follow(tmp_path: Path) -> None:
    (tmp_path / "earlier").write_bytes(b"z\nb\nw\n")
    (tmp_path / "nothing").write_bytes(NO_TOKEN + b"\n")
    wanted = (
        Vocabulary("all", 1, None, str(tmp_path / "earlier")),
        Vocabulary("top", 1, 4, str(tmp_path / "earlier")),
        Vocabulary("begun", 1, None, str(tmp_path / "nothing")),
        Vocabulary("empty", 1, None, str(tmp_path / "nothing")),
    )
    counted = [((number, token), count) for number in (0, 1, 2) for token, count in ((b"a", 2), (b"c", 7), (b"b", 5))]
    paths = [output.value.item() for output in vocabulary_files._write(counted, wanted, str(tmp_path / "new"))]
    assert [Path(path).read_bytes().splitlines() for path in paths] == [
        [b"z", b"b", b"w", b"c", b"a"],  # b is known; c is seen more often than a
        [b"z", b"b", b"w", b"c"],
        [b"c", b"b", b"a"],
        [NO_TOKEN],
    ]
