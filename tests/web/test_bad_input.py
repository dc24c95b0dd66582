"""Bad input in the form: a sentence at the field, nothing saved, no 500."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from tests.web.conftest import Visitor
from tests.web.forms import NEW, SECRET, errors, filters, form, one


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database is enough: these records never reach it."""
    return sqlite_url


@pytest.mark.parametrize(
    ("field", "values", "words"),
    [
        ("host", {"host": ""}, "host name"),
        ("host", {"host": "mqtt://broker"}, "without mqtt://"),
        ("host", {"host": "0xa9fea9fe"}, "Address 169.254.169.254 is that of a cloud"),
        ("host", {"host": "127.1"}, "Write this address as 127.0.0.1."),
        ("port", {"port": "5432"}, "belongs to PostgreSQL"),
        ("port", {"port": "70000"}, "1 to 65535"),
        ("port", {"port": "abc"}, "1 to 65535"),
        ("port", {"port": "9" * 5000}, "1 to 65535"),
        ("name", {"name": " "}, "empty"),
        ("name", {"name": "a\x00b"}, "control characters"),
        ("name", {"name": "a\u202eb"}, "direction of text"),
        ("site", {"site": "s" * 201}, "200 characters"),
        ("client_id", {"client_id": "x" * 70_000}, "65,535 bytes"),
        ("client_id", {"client_id": "{nope}"}, "In braces only"),
        ("client_id", {"client_id": ""}, "Enter a client id"),
        ("status_topic", {"status_topic": "a/#"}, "wildcards"),
        ("status_topic", {"status_topic": "{site.__class__}"}, "In braces only"),
        ("tls_ca_pem", {"tls_ca_pem": "-----BEGIN CERTIFICATE-----\nbroken"}, "PEM form"),
        ("tls_client_key_pem", {"tls_client_key_pem": "junk"}, "PEM form"),
        ("username", {"password": SECRET, "protocol": "3.1.1"}, "without a user name"),
        ("protocol", {"protocol": "3.1"}, "Use one of"),
        ("keepalive_s", {"keepalive_s": "0"}, "1 to 65535"),
        ("status_qos", {"status_qos": "7"}, "0 to 2"),
        ("subscriptions-0-topic_filter", filters("a/#/b"), "last level"),
        ("subscriptions-1-topic_filter", filters("a", "b+"), "alone in its level"),
        ("subscriptions-1-topic_filter", filters("a", "a"), "already in the list"),
        ("subscriptions-0-qos", filters("a", qos="3"), "0 to 2"),
    ],
)
def test_bad_input_is_a_sentence_at_its_field_and_nothing_is_saved(
    operator: Visitor, engine: Engine, field: str, values: dict[str, str], words: str
) -> None:
    answer = operator.post(NEW, form(**values))
    assert answer.status_code == 200
    assert words in errors(answer)[field]
    assert one(engine, "select count(*) from connection") == 0
    assert SECRET not in answer.text


def test_what_was_entered_is_still_there_after_a_refusal(operator: Visitor) -> None:
    answer = operator.post(NEW, form(port="70000", host="my.broker") | filters("keep/this"))
    for value in ("my.broker", "70000", "keep/this"):
        assert f'value="{value}"' in answer.text


def test_a_taken_name_is_told_together_with_the_other_mistakes(
    operator: Visitor, engine: Engine
) -> None:
    operator.post(NEW, form())
    found = errors(operator.post(NEW, form(port="0")))
    assert {"name", "port"} <= found.keys()


def test_more_than_the_limit_is_413(operator: Visitor) -> None:
    answer = operator.post(NEW, form(notes="x" * (5 * 1024 * 1024)))
    assert answer.status_code == 413
    assert "4 MiB" in answer.text
