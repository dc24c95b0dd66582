"""Topic Names and Topic Filters (5, section 4.7), against paho and against mosquitto."""

from __future__ import annotations

import paho.mqtt.client as mqtt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion

from database import rules
from tests.support.mosquitto import Mosquitto
from tests.support.observer import Observer
from tests.support.records import record

VALID = ["#", "+", "/", "a", "a/b", "a/+/b", "+/+", "a/#", "/#", "+/#", "//", "ä/ö", " ", "$SYS/#"]
INVALID = ["", "a#", "a/b#", "#/a", "a/#/b", "+a", "a+", "a/+b/c", "a/++", "##", "a\x00b"]
VALID_SHARED = ["$share/group/a", "$share/group/#", "$share/g/+/b", "$share/g//"]
INVALID_SHARED = ["$share", "$share/", "$share/group", "$share/group/", "$share//a", "$share/+/a"]


@pytest.mark.parametrize("topic_filter", VALID + VALID_SHARED)
def test_a_valid_topic_filter_is_accepted(topic_filter: str) -> None:
    assert rules.check_topic_filter(topic_filter) is None


@pytest.mark.parametrize(
    "topic_filter", [*INVALID, *INVALID_SHARED, "a/#/b", None, 5, "x" * 65_536]
)
def test_an_invalid_topic_filter_gets_a_sentence(topic_filter: object) -> None:
    sentence = rules.check_topic_filter(topic_filter)
    assert sentence is not None
    assert sentence.endswith(".")


def _paho_accepts(topic_filter: str) -> bool:
    # Not connected: a valid filter is refused for that reason only.
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    try:
        client.subscribe(topic_filter)
    except ValueError:
        return False
    return True


@given(st.text("ab/+#", max_size=8))
def test_paho_agrees_about_topic_filters(topic_filter: str) -> None:
    assert (rules.check_topic_filter(topic_filter) is None) == _paho_accepts(topic_filter)


def test_mosquitto_grants_what_is_accepted(mosquitto: Mosquitto) -> None:
    with Observer(mosquitto.port, tuple(VALID)):
        pass


@given(st.text("ab/+#$\x00\ud800", max_size=8))
def test_a_topic_name_is_a_filter_without_wildcards_that_the_broker_does_not_own(name: str) -> None:
    plain = bool(name) and not set(name) & set("+#\x00\ud800") and not name.startswith("$")
    assert (rules.check_topic_name(name) is None) == plain


@given(st.text("ab/", min_size=1, max_size=6))
def test_a_topic_name_matches_itself_as_a_filter(name: str) -> None:
    assert rules.check_topic_filter(name) is None
    assert mqtt.topic_matches_sub(name, name)


def test_the_same_filter_twice_is_told_at_the_second() -> None:
    twice = [{"topic_filter": "a", "qos": 0}, {"topic_filter": "a", "qos": 1}]
    assert set(rules.problems(record(), twice, hostname="h")) == {"subscriptions[1].topic_filter"}


@pytest.mark.parametrize("qos", [-1, 3, None, "1", True])
def test_a_wrong_qos_is_told_at_its_subscription(qos: object) -> None:
    subscriptions = [{"topic_filter": "a", "qos": 0}, {"topic_filter": "b", "qos": qos}]
    found = rules.problems(record(), subscriptions, hostname="h")
    assert found == {"subscriptions[1].qos": "Enter a whole number from 0 to 2."}
