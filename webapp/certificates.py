"""The certificates of the records, and the ones their brokers present: when each expires."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from threading import Lock
from typing import Any

from flask import current_app
from sqlalchemy import ColumnElement, select
from sqlalchemy import Connection as Transaction

from database.clock import database_moment, database_now
from database.models import Connection, ConnectionStatus
from webapp import certificate_use, columns, store
from webapp.certificate_use import Certificate, parse
from webapp.picture.overview import Item, Picture

#: Health warns when a certificate expires within this time.
WARN_WITHIN = timedelta(days=14)
#: The page says so when one expires within this time.
SOON_WITHIN = timedelta(days=30)
#: How long health trusts what it read, seconds; an edit in the web is seen at once.
TRUSTED_S = 60.0
#: An edit is seen this long after it began at most, seconds.
LONGEST_WRITE_S = 60.0


class Role(StrEnum):
    """What a certificate is for."""

    CA = "CA certificate"
    CLIENT = "client certificate"
    BROKER = "broker's certificate"


@dataclass(frozen=True, slots=True)
class Held:
    """A certificate that a connection uses or meets."""

    connection_id: int
    name: str
    enabled: bool
    role: Role
    certificate: Certificate
    #: Whether the connection cannot do without it, as far as that is known.
    is_needed: bool = True


def read(transaction: Transaction, *where: ColumnElement[bool]) -> list[Held]:
    """Return the certificates of the records with TLS that `where` selects."""
    record, status = Connection, ConnectionStatus
    rows = transaction.execute(
        select(
            *(columns.raw(getattr(record, name)) for name in _RECORD_COLUMNS),
            columns.raw(status.broker_cert_subject),
            columns.time(status.broker_cert_expires_at),
            columns.raw(status.verified_chain),
        )
        .outerjoin_from(record, status, status.connection_id == record.id)
        .where(record.tls, *where)
    )
    now = moment(transaction)
    return [held for row in rows for held in _held(row, now)]


_RECORD_COLUMNS = ("id", "name", "is_enabled", "tls_verify", "tls_ca_pem", "tls_client_cert_pem")


def _held(row: Any, now: datetime) -> Iterator[Held]:
    whose = (row.id, str(row.name), bool(row.is_enabled))
    cas, chain = parse(row.tls_ca_pem or None), str(row.verified_chain or "").split()
    # Without verification no CA is looked at.
    needed = certificate_use.needed_cas(cas, chain, now) if row.tls_verify else frozenset()
    for certificate in cas:
        yield Held(*whose, Role.CA, certificate, certificate.fingerprint in needed)
    needed = certificate_use.needed_of_client(row.tls_client_cert_pem or None)
    for certificate in parse(row.tls_client_cert_pem or None):
        yield Held(*whose, Role.CLIENT, certificate, certificate.fingerprint in needed)
    if row.broker_cert_expires_at or row.broker_cert_subject:
        subject = str(row.broker_cert_subject or "not known")
        yield Held(*whose, Role.BROKER, Certificate(subject, None, row.broker_cert_expires_at))


class Watch:
    """The certificates that expire soon, for health: asked often, so read seldom."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._version: int | None = None
        self._read_at: float | None = None
        #: What of each record expires before long.
        self._known: dict[int, list[Held]] = {}

    def expiring(self, picture: Picture) -> list[Held]:
        """Return what the enabled connections of `picture` must have renewed, first the first."""
        limit = picture.now + WARN_WITHIN
        own = self._own(picture)
        mine = [held for item in picture.enabled if item.id in own for held in own[item.id]]
        found = [held for held in mine if _expires_by(held, limit)]
        found += _met(picture.enabled, limit)
        return sorted(found, key=lambda held: (held.certificate.expires, held.name))

    def _own(self, picture: Picture) -> dict[int, list[Held]]:
        with self._lock:
            if self._read_at is None or time.monotonic() - self._read_at > TRUSTED_S:
                self._known = self._read(picture)
                self._read_at = time.monotonic()
            elif picture.version in (None, self._version):
                return self._known
            else:
                self._known = self._known | self._read_changed(picture)
            self._version = picture.version
            return self._known

    def _read_changed(self, picture: Picture) -> dict[int, list[Held]]:
        """Return what of the records expires that were changed in the web since all were read."""
        since = database_moment(-(TRUSTED_S + LONGEST_WRITE_S))
        with store.reading() as transaction:
            query = select(Connection.id).where(Connection.updated_at >= since)
            changed = list(transaction.scalars(query))
        found: dict[int, list[Held]] = {number: [] for number in changed}
        return found | self._read(picture, Connection.id.in_(changed))

    def _read(self, picture: Picture, *where: ColumnElement[bool]) -> dict[int, list[Held]]:
        limit = picture.now + WARN_WITHIN + timedelta(seconds=2 * TRUSTED_S)
        found: dict[int, list[Held]] = {}
        with store.reading() as transaction:
            for held in read(transaction, *where):
                is_own = held.role is not Role.BROKER
                if is_own and held.is_needed and _expires_by(held, limit):
                    found.setdefault(held.connection_id, []).append(held)
        return found


def _met(items: Iterable[Item], limit: datetime) -> Iterator[Held]:
    """Yield the certificates that brokers presented and that expire by `limit`."""
    for item in items:
        expires = item.broker_cert_expires_at
        if expires is not None and expires <= limit:
            yield Held(item.id, item.name, True, Role.BROKER, Certificate("", None, expires))


def _expires_by(held: Held, limit: datetime) -> bool:
    return held.certificate.expires is not None and held.certificate.expires <= limit


def watch() -> Watch:
    """Return the watch of the current application."""
    found: Watch = current_app.extensions.setdefault("hawser-certificates", Watch())
    return found


# --- the page


@dataclass(frozen=True, slots=True)
class Group:
    """One certificate and every connection that holds it in the same role."""

    certificate: Certificate
    role: Role
    holders: Sequence[Held]


def groups(held: Iterable[Held]) -> list[Group]:
    """Return the certificates, what cannot be read and what expires first at the top."""
    found: dict[tuple[Certificate, Role], list[Held]] = {}
    for one in held:
        found.setdefault((one.certificate, one.role), []).append(one)
    made = [Group(certificate, role, same) for (certificate, role), same in found.items()]
    return sorted(made, key=_urgency)


def _urgency(group: Group) -> tuple[float, str]:
    expires = group.certificate.expires
    return (expires.timestamp() if expires else 0.0, group.holders[0].name.lower())


def moment(transaction: Transaction) -> datetime:
    """Return the database's time, against which expiry is told."""
    found = columns.moment(transaction.scalar(select(columns.time(database_now().label("now")))))
    assert found is not None
    return found
