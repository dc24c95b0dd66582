"""Sizes and rates as people read them."""

from __future__ import annotations

import pytest

from webapp import texts


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (12_345, "12.3 kB"),
        (999_960, "1 MB"),
        (2_048_000_000, "2 GB"),
        (5e15, "5,000 TB"),
    ],
)
def test_a_size_is_told_in_its_largest_unit(number: float, words: str) -> None:
    assert texts.size(number) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "0/h"),
        (1 / 3600, "1/h"),
        (1 / 60, "1/min"),
        (0.5, "30/min"),
        (1, "1/s"),
        (12.34, "12.3/s"),
        (1234.5, "1,234/s"),
    ],
)
def test_a_rate_is_told_where_it_is_a_number_of_one(number: float, words: str) -> None:
    assert texts.rate(number) == words
