"""Sizes and rates as people read them."""

from __future__ import annotations

import pytest
from flask import Flask
from flask_babel import force_locale

from webapp.publications import entered
from webapp.wording import texts


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
    ("number", "seconds", "words"),
    [
        (0.4, 60, "1/min"),
        (30.2, 60, "30/min"),
        (60, 60, "1/s"),
        (7, 900, "7 in 15 min"),
        (899, 900, "899 in 15 min"),
        (11_106, 900, "12.3/s"),
        (1_111_050, 900, "1,234/s"),
    ],
)
def test_what_is_rarer_than_once_a_second_is_told_as_it_was_counted(
    number: float, seconds: int, words: str
) -> None:
    assert texts.rate(number, seconds) == words


@pytest.mark.parametrize(
    ("language", "words"), [("en", "99.95%"), ("it", "99,95%"), ("de", "99,95\N{NO-BREAK SPACE}%")]
)
def test_a_percentage_is_written_as_the_language_writes_it(
    app: Flask, language: str, words: str
) -> None:
    with app.test_request_context(), force_locale(language):
        assert texts.percent(99.951) == words
        assert texts.percent(100) == words.replace("99.95", "100").replace("99,95", "100")


def test_a_long_number_is_json() -> None:
    assert entered.decoded('{"n": ' + "9" * 5000 + "}", entered.JSON).count(b"9") == 5000
