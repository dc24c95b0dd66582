"""An upgrade takes private keys out of certificate columns and of the audit log."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from database import certificate_cleanup, encryption, migrate, pem, readiness
from database.session import make_engine
from tests.support.chains import Chain, Issued

CHAIN = Chain()
OTHER = Issued("other")
KEY = CHAIN.client.key_pem
BODY = KEY.splitlines()[1]
BROKEN = CHAIN.root.pem[:200]


@pytest.fixture
def old_engine(empty_database_url: str) -> Iterator[Engine]:
    """An engine on a database as the version before left it."""
    engine = make_engine(empty_database_url)
    migrate.upgrade(engine, "0007")
    yield engine
    engine.dispose()


def add(engine: Engine, name: str, **values: Any) -> None:
    row = {"name": name, "site": "s", "host": "h", **values}
    names = ", ".join(row)
    with engine.begin() as transaction:
        transaction.execute(
            sa.text(f"INSERT INTO connection ({names}) VALUES (:{', :'.join(row)})"),
            row,
        )


def tell(engine: Engine, changes: str) -> None:
    with engine.begin() as transaction:
        transaction.execute(
            sa.text(
                "INSERT INTO audit_entry (actor, action, subject_kind, changes) "
                "VALUES ('a', 'connection.update', 'connection', :changes)"
            ),
            {"changes": changes},
        )


def row(engine: Engine, name: str) -> Any:
    with engine.connect() as transaction:
        return transaction.execute(
            sa.text("SELECT * FROM connection WHERE name = :name"), {"name": name}
        ).one()


def entries(engine: Engine) -> list[Any]:
    with engine.connect() as transaction:
        texts = transaction.scalars(
            sa.text("SELECT CAST(changes AS TEXT) FROM audit_entry ORDER BY id")
        )
        return [json.loads(text) for text in texts]


def test_a_key_goes_to_its_own_column_if_it_fits_and_is_free(
    old_engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    stored = encryption.encrypt(OTHER.key_pem)
    add(old_engine, "free", tls_client_cert_pem=KEY + CHAIN.pem)
    add(old_engine, "taken", tls_client_cert_pem=CHAIN.pem + KEY, tls_client_key_pem=stored)
    add(old_engine, "strange", tls_client_cert_pem=CHAIN.pem + OTHER.key_pem)
    add(old_engine, "ca", tls_ca_pem=CHAIN.root.pem + KEY)
    add(old_engine, "only a key", tls_ca_pem=KEY)
    add(old_engine, "cut", tls_client_cert_pem=CHAIN.pem + KEY[:120])
    migrate.upgrade(old_engine)
    assert "free, taken, strange, ca, only a key, cut" in caplog.text
    assert BODY not in caplog.text
    free = row(old_engine, "free")
    assert free.tls_client_cert_pem == CHAIN.pem
    assert encryption.decrypt(free.tls_client_key_pem) == KEY
    assert (free.revision, free.is_enabled) == (1, True)
    assert row(old_engine, "taken").tls_client_cert_pem == CHAIN.pem
    assert row(old_engine, "taken").tls_client_key_pem == stored
    for name in ("strange", "cut"):
        assert row(old_engine, name).tls_client_cert_pem == CHAIN.pem
        assert row(old_engine, name).tls_client_key_pem is None
    assert row(old_engine, "ca").tls_ca_pem == CHAIN.root.pem
    # Not blank: that would mean the system's CAs.
    assert row(old_engine, "only a key").tls_ca_pem == pem.UNREADABLE
    with old_engine.connect() as transaction:
        assert transaction.scalar(sa.text("SELECT version FROM config_version")) == 2


def test_the_only_copy_of_a_key_stays_where_it_cannot_be_encrypted(
    old_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = CHAIN.pem + KEY
    add(old_engine, "free", tls_client_cert_pem=text)
    add(old_engine, "ca", tls_ca_pem=CHAIN.root.pem + KEY)
    # As in a process that was given no keys.
    monkeypatch.setattr(encryption, "_ring", None)
    migrate.upgrade(old_engine)
    assert row(old_engine, "free").tls_client_cert_pem == text
    assert row(old_engine, "ca").tls_ca_pem == CHAIN.root.pem


def test_what_holds_no_key_is_written_anew_or_stays(old_engine: Engine) -> None:
    commented = "# Città\n" + CHAIN.root.pem
    add(old_engine, "good", tls_ca_pem=commented)
    add(old_engine, "same", tls_ca_pem=CHAIN.root.pem)
    add(old_engine, "broken", tls_ca_pem=CHAIN.root.pem + BROKEN, tls_client_cert_pem="junk")
    migrate.upgrade(old_engine)
    assert row(old_engine, "good").tls_ca_pem == CHAIN.root.pem
    assert row(old_engine, "same").tls_ca_pem == CHAIN.root.pem
    assert row(old_engine, "broken").tls_ca_pem == CHAIN.root.pem + BROKEN
    assert row(old_engine, "broken").tls_client_cert_pem == "junk"


def test_nothing_that_plain_sql_wrote_stops_an_upgrade(old_engine: Engine) -> None:
    if old_engine.dialect.name == "sqlite":
        add(old_engine, "bytes", tls_ca_pem=b"\xff\x00", tls_client_cert_pem=KEY.encode() + b"\xff")
        tell(old_engine, '{"tls_ca_pem": no JSON')
    add(old_engine, "empty", tls_ca_pem="", tls_client_cert_pem=" ")
    for changes in (
        '["tls_ca_pem"]',
        '{"tls_ca_pem": 5}',
        '{"tls_ca_pem": [null, 5, ["x"], {"cut": 7}]}',
    ):
        tell(old_engine, changes)
    migrate.upgrade(old_engine)
    assert readiness.problem(old_engine) is None
    assert row(old_engine, "empty").tls_ca_pem == ""
    if old_engine.dialect.name == "sqlite":
        assert BODY not in str(row(old_engine, "bytes"))


def test_the_audit_log_keeps_everything_but_the_key(
    old_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificate_cleanup, "BATCH", 2)
    cut = {"cut": (KEY + CHAIN.pem)[:500], "length": 3000}
    false = {"cut": KEY.replace("PRIVATE KEY", "CERTIFICATE")[:150], "length": 3000}
    kept = {"port": [1, 2], "tls_ca_pem": [{"cut": CHAIN.root.pem[:100], "length": 900}, "é"]}
    tell(old_engine, json.dumps(kept))
    tell(old_engine, json.dumps({"tls_ca_pem": [None, CHAIN.root.pem + KEY], "site": ["a", "b"]}))
    tell(old_engine, json.dumps({"tls_client_cert_pem": [cut, false]}))
    for _ in range(3):
        tell(old_engine, json.dumps({"tls_client_cert_pem": [cut, None]}))
    migrate.upgrade(old_engine)
    found = entries(old_engine)
    assert found[0] == kept
    assert found[1] == {"tls_ca_pem": [None, CHAIN.root.pem], "site": ["a", "b"]}
    assert len(found) == 6
    assert BODY not in str(found)


@pytest.mark.parametrize(
    "bare",
    [
        "".join(KEY.splitlines()[1:-1]),
        "\n".join(KEY.splitlines()[1:-1]),
        base64.b64encode(KEY.encode()).decode(),
        CHAIN.client.key.private_numbers().private_value.to_bytes(32).hex(),
    ],
    ids=["a line", "lines", "base64 of all", "digits"],
)
def test_a_key_without_its_lines_goes_too(old_engine: Engine, bare: str) -> None:
    before = bare + "\n" + CHAIN.client.pem
    tell(old_engine, json.dumps({"tls_ca_pem": [{"cut": before[:500], "length": 1500}, bare]}))
    add(old_engine, "bare", tls_ca_pem=bare, tls_client_cert_pem=before + BROKEN)
    migrate.upgrade(old_engine)
    told, held = str(entries(old_engine)), row(old_engine, "bare")
    for line in bare.splitlines():
        assert line not in told
        assert line not in str(held)
    assert held.tls_client_cert_pem == CHAIN.client.pem + pem.UNREADABLE


def test_many_rows_are_cleaned_in_batches(
    old_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificate_cleanup, "BATCH", 2)
    for number in range(5):
        add(old_engine, f"plant-{number}", tls_client_cert_pem=KEY + CHAIN.pem)
    migrate.upgrade(old_engine)
    for number in range(5):
        assert row(old_engine, f"plant-{number}").tls_client_cert_pem == CHAIN.pem


def test_no_key_stays_in_the_file(old_engine: Engine) -> None:
    if old_engine.dialect.name != "sqlite":
        pytest.skip("the files of PostgreSQL are its own")
    add(old_engine, "a", tls_client_cert_pem=KEY + CHAIN.pem)
    migrate.upgrade(old_engine)
    with old_engine.connect() as transaction:
        transaction.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    path = str(old_engine.url.database)
    with open(path, "rb") as file:  # noqa: PTH123
        assert BODY.encode() not in file.read()
