"""What a connection record may say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from database import rules
from tests.support.certificates import Certificates
from tests.support.records import record


def problems(
    values: dict[str, Any] | None = None, subscriptions: list[dict[str, Any]] | None = None
) -> dict[str, str]:
    return rules.problems(record(**(values or {})), subscriptions or [], hostname="bfg_back")


def test_a_whole_record_has_no_problem() -> None:
    assert problems(subscriptions=[{"topic_filter": "sensors/#", "qos": 1}]) == {}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "   "),
        ("name", "two\nlines"),
        ("name", "x" * 201),
        ("site", None),
        ("host", ""),
        ("host", "mqtt://broker.example"),
        ("host", "broker.example:1883"),
        ("host", "broker example"),
        ("host", "broker.example\r\nX: y"),
        ("host", "-broker"),
        ("host", "a..b"),
        ("host", "x" * 300),
        ("host", "169.254.169.254"),
        ("host", "fe80::1%eth0"),
        ("host", "[fe80::1%eth0]"),
        ("host", "[::ffff:127.0.0.1]"),
        ("host", "[169.254.169.254]"),
        ("host", "[::1]:1883"),
        ("host", "[[::1]]"),
        ("host", "[broker.example]"),
        ("host", "[ ::1 ]"),
        ("host", "[]"),
        ("host", "0x7f.1"),
        ("port", 0),
        ("port", 22),
        ("port", 70_000),
        ("port", -1),
        ("port", "1883"),
        ("port", 1883.0),
        ("port", True),
        ("is_enabled", "yes"),
        ("protocol", "3.1"),
        ("protocol", None),
        ("clean_session", 2),
        ("session_expiry_s", 2**32),
        ("keepalive_s", 0),
        ("keepalive_s", 65_536),
        ("connect_timeout_s", 0),
        ("connect_timeout_s", 121),
        ("client_id", ""),
        ("client_id", "x" * 70_000),
        ("client_id", "a\x00b"),
        ("client_id", "a\ud800b"),
        ("client_id", "{password}"),
        ("client_id", "{site.__class__}"),
        ("client_id", "{site"),
        ("status_topic", ""),
        ("status_topic", "status/#"),
        ("status_topic", "status/+"),
        ("status_topic", "$SYS/status"),
        ("status_topic", "{0}"),
        ("online_payload", None),
        ("offline_payload", "x" * 65_536),
        ("status_qos", 3),
        ("status_retain", "on"),
        ("tls", None),
        ("tls_verify", "no"),
        ("username", "a\x00"),
        ("password", 5),
        ("tls_ca_pem", "-----BEGIN CERTIFICATE-----\nbroken\n-----END CERTIFICATE-----\n"),
        ("tls_ca_pem", "not PEM at all"),
        ("tls_client_cert_pem", "not PEM at all"),
        ("tls_client_key_pem", "not PEM at all"),
    ],
)
def test_a_wrong_value_gets_a_sentence_at_its_field(field: str, value: object) -> None:
    found = problems({field: value})
    assert field in found
    assert found[field][0].isupper()
    assert found[field].endswith(".")
    assert len(found[field]) < 200


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "broker.example",
        "10.0.0.1",
        "::1",
        "[::1]",
        "[2001:db8::1]",
        "bücher.example",
        "a_b",
        "x.",
    ],
)
def test_a_host_name_or_address_is_accepted(host: str) -> None:
    assert rules.check_host(host) is None


def test_a_password_needs_a_user_name_in_3_1_1_only() -> None:
    found = problems({"password": "secret", "protocol": "3.1.1"})
    assert set(found) == {"username"}
    assert "MQTT-3.1.2-22" in found["username"]
    for protocol in ("5", "auto"):
        assert problems({"password": "secret", "protocol": protocol}) == {}
        assert problems({"password": "secret", "protocol": protocol, "username": ""}) == {}
    assert problems({"username": "site", "password": "secret", "protocol": "3.1.1"}) == {}


def test_a_user_name_may_stand_alone() -> None:
    assert problems({"username": "site"}) == {}


def test_no_sentence_repeats_a_secret() -> None:
    found = problems({"password": "a\x00top-secret", "tls_client_key_pem": "top-secret"})
    assert set(found) >= {"password", "tls_client_key_pem"}
    assert "top-secret" not in str(found)


# --- certificates ---------------------------------------------------------------------------


def test_a_certificate_and_its_key_are_accepted(certificates: Certificates) -> None:
    pair = certificates.client
    values = {
        "tls": True,
        "tls_ca_pem": certificates.ca.certificate_pem,
        "tls_client_cert_pem": pair.certificate_pem,
        "tls_client_key_pem": pair.key_pem,
    }
    assert problems(values) == {}


def test_the_key_of_another_certificate_is_told(certificates: Certificates) -> None:
    values = {
        "tls_client_cert_pem": certificates.client.certificate_pem,
        "tls_client_key_pem": certificates.stranger_client.key_pem,
    }
    assert problems(values) == {
        "tls_client_key_pem": "This key does not belong to the client certificate."
    }


def test_half_a_pair_is_told(certificates: Certificates) -> None:
    pair = certificates.client
    assert set(problems({"tls_client_cert_pem": pair.certificate_pem})) == {"tls_client_key_pem"}
    assert set(problems({"tls_client_key_pem": pair.key_pem})) == {"tls_client_cert_pem"}


# --- templates ------------------------------------------------------------------------------

NAMES = rules.names_of({"site": "site_88", "name": "plant-7", "id": 7}, "bfg_back")


def test_the_default_client_id_is_site_and_host_name() -> None:
    assert rules.render("{site}_{hostname}", NAMES) == "site_88_bfg_back"


def test_a_filled_in_value_is_not_a_template_itself() -> None:
    assert rules.render("{site}", NAMES | {"site": "{hostname}"}) == "{hostname}"


@pytest.mark.parametrize(
    "template", ["{{7*7}}", "{}", "{site!r}", "{site:>99999999}", "{site", "}"]
)
def test_nothing_but_the_names_is_evaluated(template: str) -> None:
    with pytest.raises(rules.TemplateError):
        rules.render(template, NAMES)


@given(st.text())
def test_a_template_renders_or_is_refused(template: str) -> None:
    try:
        filled = rules.render(template, NAMES)
    except rules.TemplateError:
        assert "{" in template or "}" in template
    else:
        assert "{" not in filled


def test_two_records_that_differ_only_in_spelling_have_one_identity() -> None:
    first = rules.identity(record(host="Broker.Example."), "bfg_back")
    second = rules.identity(record(host="broker.example", client_id="site_88_bfg_back"), "bfg_back")
    assert first == second


def test_another_port_is_another_identity() -> None:
    assert rules.identity(record(port=1), "h") != rules.identity(record(port=2), "h")


# --- anything at all ------------------------------------------------------------------------

#: What JSON, a form or a corrupt row can hold.
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=True)
    | st.text(st.characters())
    | st.sampled_from(["{site}", "a" * 70_000, "\ud800" * 70_000, "\x00"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=3,
)


@given(field=st.sampled_from(sorted(record())), value=ANYTHING)
def test_any_value_gives_sentences_and_no_exception(field: str, value: object) -> None:
    assert all(
        isinstance(sentence, str) and sentence for sentence in problems({field: value}).values()
    )


@given(topic_filter=ANYTHING, qos=ANYTHING)
def test_any_subscription_gives_sentences_and_no_exception(
    topic_filter: object, qos: object
) -> None:
    found = problems(subscriptions=[{"topic_filter": topic_filter, "qos": qos}])
    assert set(found) <= {"subscriptions[0].topic_filter", "subscriptions[0].qos"}


def test_an_empty_record_gives_sentences_and_no_exception() -> None:
    assert {"name", "site", "host", "port"} <= set(rules.problems({}, [{}], hostname="h"))
