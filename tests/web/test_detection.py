"""The detection window beside the Keep Alive."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from tests.web import rows
from tests.web.conftest import Visitor
from tests.web.forms import NEW, form
from tests.worker.service.worker import ONE_DATABASE
from webapp.connections import detection
from webapp.wording import texts


@pytest.mark.parametrize(
    ("keep_alive", "words"),
    [
        (1, ["2 to 8 s", "up to 3 s", "1.5 s", "at least 45 s", "within 2.5 s"]),
        (2, ["4 to 10 s", "up to 6 s", "3 s", "at least 45 s", "within 4 s"]),
        (5, ["8 to 14 s", "up to 15 s", "7.5 s", "at least 45 s", "within 8.5 s"]),
        (60, ["91 to 97 s", "up to 180 s", "90 s", "at least 90 s", "within 91 s"]),
    ],
)
def test_each_kind_of_broker_notices_in_its_own_time(keep_alive: int, words: list[str]) -> None:
    assert [rule.words(keep_alive) for rule in detection.RULES] == words


@pytest.mark.parametrize("keep_alive", [0, -1, 65_536, None, "5", 2.5])
def test_what_is_no_keep_alive_predicts_nothing(keep_alive: object) -> None:
    assert {len(rule.words(keep_alive)) for rule in detection.RULES} == {1}


@ONE_DATABASE
def test_the_form_shows_the_window_of_what_it_holds(operator: Visitor) -> None:
    page = operator.get(NEW).text
    assert "8 to 14 s</dd>" in page
    refused = operator.post(NEW, form(keepalive_s="many")).text
    assert refused.count(f">{texts.NOTHING}</dd>") == len(detection.RULES)


@ONE_DATABASE
def test_the_details_tell_what_was_agreed_and_measured(operator: Visitor, worker: Engine) -> None:
    number = rows.record(worker)
    rows.status(worker, number, keepalive_s=30, round_trip_ms=12.345)
    page = operator.get(f"/admin/connections/details/?id={number}").text
    assert "<dt>Keep Alive in force</dt><dd>30 s</dd>" in page
    assert "<dd>12.3 ms</dd>" in page
