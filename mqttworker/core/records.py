"""From raw database values to a `Record`: usable, or with the reason why not.

A row may hold anything that plain SQL can write; a bad one costs only itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from database import hosts, pem, rules
from database.encryption import UndecryptableError
from mqttworker.core.cause import Cause, cause
from mqttworker.core.spec import (
    ConnectionSpec,
    Expectation,
    Record,
    SubscriptionSpec,
    TLSSettings,
)

#: Columns that hold ciphertext.
SECRETS = ("password", "tls_client_key_pem")
_FLAGS = ("is_enabled", "clean_session", "tls", "tls_verify", "status_retain", "announce_who")

RawRow = Mapping[str, Any]


def parse(
    row: RawRow,
    subscriptions: Iterable[RawRow],
    *,
    hostname: str,
    decrypt: Callable[[str], str],
) -> Record:
    """Return the record of `row`; never raises, whatever the row holds."""
    values = {name: _flag(value) if name in _FLAGS else value for name, value in row.items()}
    wanted = [item for item in subscriptions if item["is_enabled"]]
    spec: ConnectionSpec | None = None
    try:
        flaw = _open_secrets(values, decrypt)
        if flaw is None:
            values = pem.normalized(values)
            flaw = _first_problem(values, wanted, hostname)
        if flaw is None:
            spec = _spec(values, wanted, hostname)
    except Exception as error:  # noqa: BLE001 - one broken row must not stop the others
        flaw = cause("config_error", field="record", problem=f"unreadable ({error})")
    return Record(
        connection_id=row["id"],
        name=str(row["name"]),
        revision=_revision(row["revision"]),
        spec=spec,
        flaw=flaw,
        expectations=() if spec is None else tuple(map(_expectation, wanted)),
    )


def with_revision(record: Record, raw: object) -> Record:
    """Return `record` with the revision that its row has now, and nothing else changed."""
    revision = _revision(raw)
    return record if revision == record.revision else replace(record, revision=revision)


def _revision(raw: object) -> int:
    return raw if isinstance(raw, int) else 0


def without_rivals(records: Iterable[Record]) -> dict[int, Record]:
    """Return the records by id; where a broker would see one client id twice the first wins."""
    owners: dict[tuple[str, int, str], Record] = {}
    result: dict[int, Record] = {}
    for record in sorted(records, key=lambda record: record.connection_id):
        if record.spec is not None:
            key = (*record.spec.broker, record.spec.client_id)
            owner = owners.setdefault(key, record)
            if owner is not record:
                result[record.connection_id] = _same_client_id(record, record.spec, owner)
                continue
        result[record.connection_id] = record
    return result


def _same_client_id(record: Record, spec: ConnectionSpec, owner: Record) -> Record:
    flaw = cause(
        "same_client_id",
        other=owner.name,
        client_id=spec.client_id,
        host=spec.host,
        port=spec.port,
    )
    return Record(record.connection_id, record.name, record.revision, flaw=flaw)


def _flag(value: object) -> object:
    """Return SQLite's 0 and 1 as flags, anything else as it is, for the rules to judge."""
    return bool(value) if isinstance(value, int) and value in (0, 1) else value


def _open_secrets(values: dict[str, Any], decrypt: Callable[[str], str]) -> Cause | None:
    for name in SECRETS:
        if values[name] is None:
            continue
        try:
            values[name] = decrypt(str(values[name]))
        except UndecryptableError:
            return cause("secret_undecryptable", field=name)
    return None


def _first_problem(
    values: Mapping[str, Any], subscriptions: list[RawRow], hostname: str
) -> Cause | None:
    problems = rules.problems(values, subscriptions, hostname=hostname)
    for field, problem in problems.items():
        return cause("config_error", field=field, problem=problem)
    return None


def _spec(values: Mapping[str, Any], subscriptions: list[RawRow], hostname: str) -> ConnectionSpec:
    names = rules.names_of(values, hostname)
    return ConnectionSpec(
        connection_id=values["id"],
        host=hosts.without_brackets(values["host"]),
        port=values["port"],
        client_id=rules.render(values["client_id"], names),
        protocol=values["protocol"],
        clean_session=values["clean_session"],
        session_expiry_s=values["session_expiry_s"],
        keepalive_s=values["keepalive_s"],
        connect_timeout_s=values["connect_timeout_s"],
        tls=_tls(values),
        username=values["username"] or None,
        password=values["password"],
        status_topic=rules.render(values["status_topic"], names),
        online_payload=values["online_payload"],
        offline_payload=values["offline_payload"],
        status_qos=values["status_qos"],
        status_retain=values["status_retain"],
        announce_who=values["announce_who"],
        self_ping_s=values["self_ping_s"],
        subscriptions=tuple(
            SubscriptionSpec(item["topic_filter"], item["qos"]) for item in subscriptions
        ),
    )


def _expectation(item: RawRow) -> Expectation:
    # A draft that is only tested has neither.
    return Expectation(item.get("id", 0), item["topic_filter"], item.get("expected_every_s", 0))


def _tls(values: Mapping[str, Any]) -> TLSSettings | None:
    if not values["tls"]:
        return None
    return TLSSettings(
        verify=values["tls_verify"],
        ca_pem=values["tls_ca_pem"] or None,
        client_cert_pem=values["tls_client_cert_pem"] or None,
        client_key_pem=values["tls_client_key_pem"] or None,
    )
