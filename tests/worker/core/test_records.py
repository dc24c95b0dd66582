"""From rows to records: a good row is filled in, a bad one costs only itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttworker.core.records import parse, without_rivals
from mqttworker.core.spec import ConnectionSpec, Record, SubscriptionSpec, TLSSettings
from tests.support.chains import Chain
from tests.worker.core.rows import GOOD_ROW, decrypt, row, subscription


def _parse(values: dict[str, Any], *subscriptions: dict[str, Any]) -> Record:
    return parse(values, subscriptions, hostname="bfg_back", decrypt=decrypt)


def test_a_good_row_is_filled_in() -> None:
    record = _parse(row(), subscription("a/#", 2), subscription("off", is_enabled=0))
    assert record.flaw is None
    assert record.spec == ConnectionSpec(
        connection_id=7,
        host="broker.example",
        port=1883,
        client_id="site_88_bfg_back",
        status_topic="site_88/backend/status",
        subscriptions=(SubscriptionSpec("a/#", 2),),
    )
    assert (record.name, record.revision) == ("plant-7", 3)


def test_secrets_are_opened_and_hidden() -> None:
    record = _parse(row(username="u", password="sealed:geheim"))
    assert record.spec is not None
    assert record.spec.password == "geheim"
    assert "geheim" not in repr(record)


def test_an_ipv6_address_is_used_without_its_brackets() -> None:
    spec = _parse(row(host="[2001:db8::1]")).spec
    assert spec is not None
    assert spec.host == "2001:db8::1"
    assert spec == _parse(row(host="2001:db8::1")).spec


def test_tls_settings_come_with_tls_only() -> None:
    with_tls, without = _parse(row(tls=1, tls_verify=0)).spec, _parse(row(tls_verify=0)).spec
    assert with_tls is not None
    assert without is not None
    assert with_tls.tls == TLSSettings(verify=False)
    assert without.tls is None


def test_notes_and_name_make_no_other_connection() -> None:
    assert _parse(row(notes="x", revision=4)).same_connection(_parse(row()))
    assert not _parse(row(keepalive_s=2)).same_connection(_parse(row()))


def test_a_disabled_subscription_may_be_broken() -> None:
    assert _parse(row(), subscription("a/#/b", is_enabled=0)).flaw is None


@pytest.mark.parametrize("field", ["password", "tls_client_key_pem"])
def test_a_secret_that_no_key_opens_is_named(field: str) -> None:
    record = _parse(row(username="u", **{field: "broken"}))
    assert record.flaw is not None
    assert (record.flaw.code, record.flaw.detail) == ("secret_undecryptable", {"field": field})


def test_an_error_while_opening_a_secret_is_a_flaw() -> None:
    def fails(_ciphertext: str) -> str:
        msg = "keyring on fire"
        raise RuntimeError(msg)

    record = parse(row(username="u", password="x"), (), hostname="h", decrypt=fails)
    assert record.flaw is not None
    assert "keyring on fire" in str(record.flaw)


_CHAIN = Chain()


def test_certificates_that_plain_sql_wrote_are_put_right() -> None:
    text = "# Città\r\n" + (_CHAIN.root.pem + _CHAIN.client.pem).replace("\n", "\r\n")
    key = f"sealed:{_CHAIN.client.key_pem}"
    found = _parse(
        row(tls=1, tls_ca_pem="\ufeff" + text, tls_client_cert_pem=text, tls_client_key_pem=key)
    )
    assert found.flaw is None
    assert found.spec is not None
    assert found.spec.tls == TLSSettings(
        ca_pem=_CHAIN.root.pem + _CHAIN.client.pem,
        client_cert_pem=_CHAIN.client.pem + _CHAIN.root.pem,
        client_key_pem=_CHAIN.client.key_pem,
    )


def test_a_key_that_plain_sql_wrote_beside_its_certificate_is_used_as_the_key() -> None:
    both = _CHAIN.client.key_pem + _CHAIN.client.pem
    spec = _parse(row(tls=1, tls_client_cert_pem=both)).spec
    assert spec is not None
    assert spec.tls == TLSSettings(
        client_cert_pem=_CHAIN.client.pem, client_key_pem=_CHAIN.client.key_pem
    )


def test_a_key_among_cas_is_a_flaw_that_does_not_repeat_it() -> None:
    flaw = _parse(row(tls=1, tls_ca_pem=_CHAIN.root.pem + _CHAIN.root.key_pem)).flaw
    assert flaw is not None
    assert flaw.detail["field"] == "tls_ca_pem"
    assert "Remove the private key" in str(flaw.detail["problem"])
    assert _CHAIN.root.key_pem.splitlines()[1] not in str(flaw)


# --- a hundred kinds of rows that only plain SQL can write --------------------------------

#: What no column of text may hold.
_NO_TEXT: tuple[Any, ...] = (None, 1, b"\xff\x00", "a\x00b", "\ud800")
#: What no column of numbers may hold.
_NO_NUMBER: tuple[Any, ...] = (None, -1, "abc", 1.5, 2**70, b"1")
_NO_FLAG: tuple[Any, ...] = (None, 2, "yes")

_BAD_VALUES: dict[str, tuple[Any, ...]] = {
    "name": ("", "a\nb", *_NO_TEXT),
    "site": ("", "x" * 300, *_NO_TEXT),
    "host": ("", "mqtt://a", "a b", "-a.example", "x" * 300, *_NO_TEXT),
    "port": (0, 70_000, *_NO_NUMBER),
    "protocol": ("3.1", "", None, 5),
    "client_id": ("", "{nope}", "{", "{site.__class__}", "x" * 65_536, *_NO_TEXT),
    "status_topic": ("", "a/#", "+/a", "$SYS/a", "{x!r}", "y" * 70_000, *_NO_TEXT),
    "online_payload": _NO_TEXT,
    "offline_payload": _NO_TEXT,
    "username": (b"u", 7, "\x00", "u" * 65_536),
    "status_qos": (3, *_NO_NUMBER),
    "keepalive_s": (0, 65_536, *_NO_NUMBER),
    "connect_timeout_s": (0, 121, *_NO_NUMBER),
    "session_expiry_s": _NO_NUMBER,
    "clean_session": _NO_FLAG,
    "tls": _NO_FLAG,
    "tls_verify": _NO_FLAG,
    "status_retain": _NO_FLAG,
    "tls_ca_pem": ("no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", 7),
    "tls_client_cert_pem": ("no PEM", b"\xff"),
    "tls_client_key_pem": ("sealed:no PEM", "sealed:", "unsealed"),
    "password": ("unsealed",),
}
_BAD_SUBSCRIPTIONS = (
    subscription("a/#/b"), subscription("a+"), subscription(""), subscription(None),
    subscription(b"a"), subscription("a\x00"), subscription("x" * 70_000), subscription("$share/"),
    subscription("a", 3), subscription("a", None), subscription("a", "1"), subscription("a", -1),
)  # fmt: skip


def _bad_rows() -> Iterator[Any]:
    for field, values in _BAD_VALUES.items():
        for index, value in enumerate(values):
            # A key without its certificate is empty, not broken.
            if (field, value) != ("tls_client_key_pem", "sealed:"):
                yield pytest.param(row(**{field: value}), (), id=f"{field}-{index}")
    for index, item in enumerate(_BAD_SUBSCRIPTIONS):
        yield pytest.param(row(), (item,), id=f"subscription-{index}")
    yield pytest.param(row(), (subscription("a"), subscription("a")), id="subscription-twice")


BAD_ROWS = list(_bad_rows())


def test_there_are_a_hundred_kinds_of_bad_rows() -> None:
    assert len(BAD_ROWS) >= 100


@pytest.mark.parametrize(("values", "subscriptions"), BAD_ROWS)
def test_a_bad_row_has_a_flaw_and_harms_nobody(
    values: dict[str, Any], subscriptions: tuple[dict[str, Any], ...]
) -> None:
    record = _parse(values, *subscriptions)
    assert record.spec is None
    assert record.flaw is not None
    assert record.flaw.code in {"config_error", "secret_undecryptable"}
    assert str(record.flaw).strip()


_junk = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=40),
    st.binary(max_size=9),
)


@given(
    changes=st.dictionaries(st.sampled_from(sorted(GOOD_ROW.keys() - {"id"})), _junk, max_size=6)
)
def test_any_row_gives_a_record_that_is_usable_or_flawed(changes: dict[str, Any]) -> None:
    record = _parse(row(**changes))
    assert (record.spec is None) != (record.flaw is None)


# --- two records, one client id -----------------------------------------------------------


def _records(*rows: dict[str, Any]) -> dict[int, Record]:
    return without_rivals([_parse(values) for values in rows])


@pytest.mark.parametrize(
    ("one_host", "other"),
    [
        ("::1", "[::1]"),
        ("::1", "0:0:0:0:0:0:0:1"),
        ("a.example", "A.example."),
        ("ü.de", "xn--tda.de"),
    ],
)
def test_one_host_in_two_spellings_is_one_broker(one_host: str, other: str) -> None:
    records = _records(row(id=1, host=one_host), row(id=2, host=other))
    assert records[1].spec is not None
    assert records[2].flaw is not None
    assert records[2].flaw.code == "same_client_id"


def test_of_two_records_with_one_client_id_the_first_is_used() -> None:
    records = _records(row(id=2, name="second"), row(id=1, name="first"))
    assert records[1].flaw is None
    flaw = records[2].flaw
    assert flaw is not None
    assert records[2].spec is None
    assert flaw.code == "same_client_id"
    assert flaw.detail["other"] == "first"


@pytest.mark.parametrize("host", ["Broker.Example", "BROKER.example"])
def test_the_same_broker_in_other_letters_is_the_same_broker(host: str) -> None:
    assert _records(row(id=1), row(id=2, host=host))[2].flaw is not None


def test_one_client_id_on_two_brokers_is_fine() -> None:
    records = _records(row(id=1), row(id=2, port=1884), row(id=3, host="other.example"))
    assert not any(record.flaw for record in records.values())


def test_a_record_that_cannot_be_used_takes_no_client_id() -> None:
    records = _records(row(id=1, protocol="9"), row(id=2))
    assert records[2].flaw is None
