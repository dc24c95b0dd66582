"""How often a message is expected: in the form and in files; and rows that keep their ids."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import Engine, text

from tests.web.conftest import Visitor
from tests.web.forms import NEW, errors, filters, form, one
from tests.web.test_connections import edit
from tests.web.test_portability import Import, environment, item, run_import
from webapp.connections import portability

__all__ = ["environment", "run_import"]
EVERY = "subscriptions-0-expected_every_s"


def subscriptions(engine: Engine) -> dict[str, tuple[Any, ...]]:
    """Return (id, QoS, seconds) of each subscription by its Topic Filter."""
    query = text("select topic_filter, id, qos, expected_every_s from subscription")
    with engine.connect() as transaction:
        return {row[0]: tuple(row[1:]) for row in transaction.execute(query)}


def test_an_expectation_is_saved_and_shown_again(operator: Visitor, engine: Engine) -> None:
    operator.post(NEW, form() | filters("a", "b") | {EVERY: "60"})
    assert {key: found[2] for key, found in subscriptions(engine).items()} == {"a": 60, "b": 0}
    number = one(engine, "select id from connection")
    page = operator.get(f"/admin/connections/edit/?id={number}").text
    assert f'id="{EVERY}" value="60"' in page
    assert 'id="subscriptions-1-expected_every_s" value=""' in page


@pytest.mark.parametrize("value", ["soon", "-1", "1.5", "31536001"])
def test_what_is_no_number_of_seconds_is_a_sentence_at_the_field(
    operator: Visitor, engine: Engine, value: str
) -> None:
    answer = operator.post(NEW, form() | filters("a") | {EVERY: value})
    assert EVERY in errors(answer)
    assert f'id="{EVERY}" value="{value}"' in answer.text
    assert one(engine, "select count(*) from connection") == 0


def test_a_blank_expects_nothing(operator: Visitor, engine: Engine) -> None:
    assert operator.post(NEW, form() | filters("a") | {EVERY: " "}).status_code == 302
    assert subscriptions(engine)["a"][2] == 0


def test_a_filter_that_stays_keeps_its_row_and_no_id_comes_back(
    operator: Visitor, engine: Engine
) -> None:
    operator.post(NEW, form() | filters("a", "b"))
    before = subscriptions(engine)
    number = one(engine, "select id from connection")
    edit(operator, number, **filters("c", "a", qos="2"), **{EVERY: "5"})
    after = subscriptions(engine)
    assert after["a"] == (before["a"][0], 2, 0)
    assert after["c"][1:] == (2, 5)
    assert after.keys() == {"a", "c"}
    assert after["c"][0] > max(found[0] for found in before.values())


def test_a_file_may_say_what_is_expected(
    run_import: Import, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = [{"topic_filter": "a", "expected_every_s": 60}, {"topic_filter": "b"}]
    assert run_import([item(subscriptions=wanted)]) == 0
    assert {key: found[2] for key, found in subscriptions(engine).items()} == {"a": 60, "b": 0}
    capsys.readouterr()
    # The order of the rows means nothing.
    run_import([item(subscriptions=wanted[::-1])])
    assert capsys.readouterr().out == "0 created, 0 changed, 1 already so.\n"
    portability.export_file("-")
    exported = json.loads(capsys.readouterr().out)[0]["subscriptions"]
    assert [entry["expected_every_s"] for entry in exported] == [60, 0]


def test_a_file_with_a_wrong_expectation_is_refused(
    run_import: Import, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = [{"topic_filter": "a", "expected_every_s": "often"}]
    assert run_import([item(subscriptions=wanted)]) == 1
    assert "subscriptions[0].expected_every_s" in capsys.readouterr().err
    assert one(engine, "select count(*) from connection") == 0
