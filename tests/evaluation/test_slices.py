from __future__ import annotations

import pytest

from evaluation.slices import Bucket, bucket_names, slice_values


@pytest.mark.parametrize(
    ("value", "name"), [(-5, "<0"), (0, "0-2.5"), (2.4, "0-2.5"), (2.5, "2.5-1000000"), (1e6, ">=1000000")]
)
def test_each_number_is_in_the_bucket_that_starts_at_or_below_it(value, name):
    buckets = [Bucket.parse(text) for text in bucket_names([1e6, 0, 2.5])]

    assert slice_values([value], buckets) == [name]


def test_negative_and_tiny_boundaries_survive_their_names():
    assert [Bucket.parse(name)[1:] for name in bucket_names([-20, -1.5, 1e-07])] == [
        (float("-inf"), -20),
        (-20, -1.5),
        (-1.5, 1e-07),
        (1e-07, float("inf")),
    ]


def test_numbers_without_boundaries_are_named_as_one_reads_them():
    assert slice_values([25]) == ["25"]
    assert slice_values([3.0]) == ["3"]


@pytest.mark.parametrize("values", [None, [], [b"many"], [float("nan")]])
def test_what_has_no_bucket_is_missing(values):
    assert slice_values(values, [Bucket.parse("<10"), Bucket.parse(">=10")]) == ["missing"]


def test_repeated_values_count_once():
    assert slice_values([b"Drama", b"Drama"]) == ["Drama"]


def test_other_names_are_refused():
    with pytest.raises(ValueError, match="'F' is not the name of a bucket"):
        Bucket.parse("F")
