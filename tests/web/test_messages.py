"""The message browser: its filters, its pages, its tail."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from database.clock import database_now
from database.models import Message
from database.topics import matches
from tests.web import rows
from tests.web.conftest import Visitor
from tests.web.messages import MESSAGES, dead_letter, ids, link, live, many, message, shown
from tests.worker.service.worker import ONE_DATABASE
from webapp.messages import scan, search, topics
from webapp.messages.asking import Filter
from webapp.messages.search import Place
from webapp.pages import messages as page

LIVE = MESSAGES + "live"


@pytest.fixture
def plants(worker: Engine) -> Engine:
    """Messages 1 to 8, an hour and a half between two of them, of two connections."""
    rows.record(worker, "plant-1")
    rows.record(worker, "Plant-2")
    many(
        worker,
        [
            {"topic": "alarm/fire", "payload": b"smoke in hall 7", "qos": 2, "retain": True},
            {"topic": "plant/1/state", "connection_id": 2, "payload": b"on"},
            {"topic": "plant/2/state", "payload": b"off"},
            {"topic": "plant/2/state/since", "payload": b"noon"},
            {"topic": "plant", "payload": b"on"},
            {"topic": "$SYS/load", "payload": b"0.1"},
            {"topic": "plant/1/temp", "connection_id": 2, "payload": b"\xff\x00smoke"},
            {"topic": "Plant/1/state", "payload": "grün".encode(), "qos": 1},
        ],
        step=5400,
    )
    return worker


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({}, [8, 7, 6, 5, 4, 3, 2, 1]),
        ({"connection": "2"}, [7, 2]),
        ({"connection": "99"}, []),
        ({"name": "plant"}, [8, 7, 6, 5, 4, 3, 2, 1]),
        ({"name": "PLANT-2"}, [7, 2]),
        ({"name": "plant_"}, []),
        ({"topic": "plant/1/state"}, [2]),
        ({"topic": "plant/+/state"}, [3, 2]),
        ({"topic": "plant/#"}, [7, 5, 4, 3, 2]),
        ({"topic": "+/1/#"}, [8, 7, 2]),
        ({"topic": "#"}, [8, 7, 5, 4, 3, 2, 1]),
        ({"topic": "$SYS/#"}, [6]),
        ({"topic": "+/load"}, []),
        ({"topic": "$share/group/plant/+/temp"}, [7]),
        ({"topic": "nowhere/#"}, []),
        ({"text": "smoke"}, [7, 1]),
        ({"text": "Smoke"}, []),
        ({"text": "grün"}, [8]),
        ({"text": "smoke", "topic": "plant/#"}, [7]),
        ({"text": "o", "connection": "2"}, [7, 2]),
        ({"topic": "plant/#", "connection": "1"}, [5, 4, 3]),
        ({"qos": "2"}, [1]),
        ({"retained": "yes"}, [1]),
        ({"retained": "no", "qos": "1"}, [8]),
        ({"span": "1h"}, [8]),
        ({"span": "24h", "connection": "2"}, [7, 2]),
        ({"before": "3"}, [2, 1]),
        ({"after": "6"}, [8, 7, 6, 5, 4, 3, 2, 1]),
        ({"name": "a\x00b", "span": "nonsense", "qos": "7", "before": "x"}, []),
    ],
)
def test_filters_narrow_the_page(
    operator: Visitor, plants: Engine, arguments: dict[str, str], found: list[int]
) -> None:
    assert ids(operator, **arguments) == found


def test_from_and_until_are_times_in_utc(operator: Visitor, plants: Engine) -> None:
    with plants.connect() as transaction:
        at = transaction.scalars(select(Message.received_at).order_by(Message.id)).all()
    late = at[7] + timedelta(seconds=1)
    for asked in ({}, {"connection": "1"}, {"topic": "Plant/#"}, {"topic": "+/+/state"}):
        assert ids(operator, since=late.isoformat(), **asked) == [], asked
        assert 8 not in ids(operator, until=at[7].isoformat(), **asked), asked
    assert ids(operator, since=at[5].isoformat()) == [8, 7, 6]
    assert ids(operator, until=f"{at[2]:%Y-%m-%d %H:%M:%S.%f}") == [2, 1]
    assert ids(
        operator, since=at[1].isoformat(), until=at[3].isoformat(), topic="plant/+/state"
    ) == [3, 2]


@ONE_DATABASE
@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("topic", "a/#/b", "must stand alone as the last level"),
        ("topic", "a\x00b", "Remove the NUL"),
        ("text", "€" * 334, "at most 1,000 bytes of UTF-8"),
        ("since", "yesterday", "Enter a time such as"),
        ("until", "0001-01-01T00:00+14:00", "Enter a time such as"),
    ],
)
def test_a_wrong_field_is_answered_with_one_sentence_beside_it(
    operator: Visitor, plants: Engine, field: str, value: str, sentence: str
) -> None:
    answer = operator.get(MESSAGES, query_string={field: value})
    assert answer.status_code == 200
    (told,) = re.findall(rf'id="{field}-error">([^<]+)<', answer.text)
    assert sentence in told
    assert shown(answer.text) == []
    assert operator.get(LIVE, query_string={field: value, "after": 0}).status_code == 400
    assert operator.get(MESSAGES + "export", query_string={field: value}).status_code == 400


LEVEL = st.sampled_from(["a", "b", "a-", "a!b", "", "0", "$x", "ä"])
TOPIC = st.lists(LEVEL, min_size=1, max_size=4).map("/".join).filter(bool)
FILTER = st.builds(
    lambda levels, tail: "/".join([*levels, *tail]),
    st.lists(LEVEL | st.just("+"), min_size=1, max_size=4),
    st.sampled_from([[], ["#"]]),
).filter(bool)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(found=st.data())
def test_every_way_to_search_finds_what_matches_the_topic_filter(
    engine: Engine, found: st.DataObject
) -> None:
    names = found.draw(st.lists(TOPIC, min_size=1, max_size=12))
    topic_filter = found.draw(FILTER)
    rows.sql(engine, "delete from message")
    many(engine, [{"topic": name, "payload": b"x"} for name in names])
    with engine.connect() as transaction:
        first = search.search(transaction, Filter(), Place(), 1).newest - len(names) + 1
        wanted = [first + at for at, name in enumerate(names) if matches(topic_filter, name)]
        for listed in (True, False):
            for text in ("", "x"):
                got = search.search(
                    transaction,
                    Filter(topic=topic_filter, text=text),
                    Place(lists_topics=listed),
                    50,
                )
                assert list(got.ids) == wanted[::-1], (topic_filter, names)
                assert got.rest is None


@given(names=st.lists(TOPIC, min_size=1, max_size=20), topic_filter=FILTER)
def test_no_jump_from_topic_to_topic_leaves_out_one_that_matches(
    names: list[str], topic_filter: str
) -> None:
    stored = sorted(set(names))
    found: list[str] = []
    start: str | None = topics.prefix(topic_filter)
    while ahead := [name for name in stored if start is not None and name >= start]:
        if matches(topic_filter, ahead[0]):
            found.append(ahead[0])
        start = topics.beyond(topic_filter, ahead[0])
    assert found == [name for name in stored if matches(topic_filter, name)]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(size=st.integers(1, 5), arguments=st.data())
def test_pages_in_both_directions_hold_every_match_once(
    engine: Engine, size: int, arguments: st.DataObject
) -> None:
    names = ["a/b", "a/c", "b/a", "a/b/c"]
    picks = arguments.draw(
        st.lists(st.tuples(st.sampled_from(names), st.integers(1, 3)), max_size=20)
    )
    wanted = Filter(
        topic=arguments.draw(st.sampled_from(["", "a/+", "a/#", "a/b"])),
        connection=arguments.draw(st.sampled_from([None, 1, 2])),
        text=arguments.draw(st.sampled_from(["", "1"])),
    )
    rows.sql(engine, "delete from message")
    many(engine, [{"topic": n, "connection_id": c, "payload": b"01"} for n, c in picks] or [{}])
    with engine.connect() as transaction:
        everything = list(search.search(transaction, wanted, Place(), 100).ids)
        down: list[int] = []
        place = Place()
        while True:
            found = search.search(transaction, wanted, place, size)
            down += found.ids
            if found.rest is None:
                break
            place = Place(before=found.rest)
        up: list[int] = []
        place = Place(after=0, newest=False)
        while True:
            found = search.search(transaction, wanted, place, size)
            up = [*found.ids, *up]
            if found.rest is None:
                break
            place = Place(after=found.rest, newest=False)
    assert down == everything
    assert up == everything


def test_pages_follow_each_other_without_counting(
    operator: Visitor, plants: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "PAGE_SIZE", 3)
    first = operator.get(MESSAGES).text
    second = operator.get(link(first, "next")).text
    third = operator.get(link(second, "next")).text
    assert [shown(text) for text in (first, second, third)] == [[8, 7, 6], [5, 4, 3], [2, 1]]
    assert 'rel="next"' not in third
    assert shown(operator.get(link(third, "prev")).text) == [5, 4, 3]
    back = operator.get(link(second, "prev"))
    assert shown(back.text) == [8, 7, 6]
    again = operator.get(MESSAGES, query_string={"after": 7})
    assert (again.status_code, again.location) == (302, MESSAGES)


def test_too_many_topics_are_looked_for_among_the_messages(
    operator: Visitor, plants: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topics, "MANY", 1)
    assert ids(operator, topic="plant/+/state") == [3, 2]
    assert ids(operator, topic="plant/#", text="o") == [7, 5, 4, 3, 2]


def test_a_search_whose_time_is_up_says_so_and_goes_on(
    operator: Visitor, worker: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(worker, [{"payload": b"needle"}, *([{}] * 100)])
    monkeypatch.setattr(scan, "GROWTH", 1)
    monkeypatch.setattr(search, "BUDGET", 0.0)
    asked: dict[str, Any] = {"text": "needle"}
    answer = operator.get(MESSAGES, query_string=asked)
    assert "Searched back to" in answer.text
    assert "nothing found there" in answer.text
    assert "Search further back" in answer.text
    found: list[int] = []
    for _ in range(10):
        found += shown(answer.text)
        if "Search further back" not in answer.text:
            break
        answer = operator.get(link(answer.text, "next"))
    assert found == [1]
    news = live(operator, **(asked | {"before": 90}))
    assert news["found"] == 0
    assert news["stopped"]
    assert news["onward"] == {"before": 74}
    assert "Searched back to" in news["told"]


# --- the tail


def test_the_tail_brings_only_what_is_new_and_says_what_it_left_out(
    operator: Visitor, plants: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "LIVE_ROWS", 2)
    first = operator.get(LIVE, query_string={"after": 8})
    assert live(operator, after=8)["rows"].strip() == ""
    etag = first.headers["ETag"]
    again = operator.get(LIVE, query_string={"after": 8}, headers={"If-None-Match": etag})
    assert (again.status_code, again.data) == (304, b"")
    for number in range(5):
        message(plants, f"new/{number}")
    news = live(operator, after=8)
    assert shown(f"<tbody>{news['rows']}</tbody>") == [13, 12]
    assert "3 more came in between" in news["rows"]
    assert (news["after"], news["found"]) == (13, 5)
    monkeypatch.setattr(page, "LIVE_COUNTED", 4)
    assert "More than 2 more" in live(operator, after=8)["rows"]


def test_the_tail_of_a_filter_moves_past_what_does_not_match(
    operator: Visitor, plants: Engine
) -> None:
    message(plants, "other", b"x")
    asked: dict[str, Any] = {"after": 8, "topic": "plant/+/state"}
    assert live(operator, **asked)["after"] == 9
    message(plants, "plant/9/state")
    assert live(operator, **(asked | {"after": 9}))["found"] == 1


@ONE_DATABASE
def test_a_tail_of_an_empty_table_begins_with_the_first_message(
    operator: Visitor, worker: Engine
) -> None:
    assert 'data-tail="0"' in operator.get(MESSAGES).text
    assert "No messages are stored yet." in operator.get(MESSAGES).text
    message(worker)
    assert live(operator, after=0)["found"] == 1


# --- who may look


@ONE_DATABASE
def test_everybody_with_an_account_may_look_and_nobody_else(
    anonymous: Visitor, viewer: Visitor, plants: Engine
) -> None:
    dead_letter(plants, b"a\x00b", "A NUL in the topic.")
    own = ("", "1/", "1/payload", "details/?id=1", "export", "set-aside/", "set-aside/1/payload")
    for path in (*own, "live?after=0"):
        assert viewer.get(MESSAGES + path).status_code == 200, path
        answer = anonymous.get(MESSAGES + path)
        assert answer.status_code == 302, path
        assert answer.location.startswith("/login")


@ONE_DATABASE
def test_a_connection_leads_to_its_messages(operator: Visitor, plants: Engine) -> None:
    details = operator.get("/admin/connections/details/?id=2").text
    assert 'href="/admin/messages/?connection=2"' in details
    assert "Messages of Plant-2" in operator.get(MESSAGES + "?connection=2").text
    assert "Messages of a deleted connection" in operator.get(MESSAGES + "?connection=77").text


def test_a_message_of_the_future_is_no_trouble(operator: Visitor, plants: Engine) -> None:
    late: Any = database_now(86400.0)
    message(plants, "plant/9/state", received_at=late)
    assert ids(operator, span="1h") == [9, 8]
