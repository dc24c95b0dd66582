"""Secrets at rest."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, inspect, select, text
from sqlalchemy.orm import Session, undefer

from database import encryption
from database.models import Connection

SECRET = "canary-Ω-secret"


def store(engine: Engine, password: str | None = SECRET) -> int:
    with Session(engine) as session:
        row = Connection(name="a", site="b", host="c", username="u", password=password)
        session.add(row)
        session.commit()
        return row.id


def raw(engine: Engine) -> str | None:
    with engine.connect() as transaction:
        found: str | None = transaction.execute(text("SELECT password FROM connection")).scalar()
        return found


def read(engine: Engine, number: int) -> str | None:
    with Session(engine) as session:
        found = session.get_one(Connection, number, options=[undefer(Connection.password)])
        return found.password


def test_a_secret_comes_back(engine: Engine) -> None:
    assert read(engine, store(engine)) == SECRET


def test_a_stored_secret_cannot_be_read_in_the_table(engine: Engine) -> None:
    store(engine)
    stored = raw(engine)
    assert stored is not None
    assert "canary" not in stored


def test_the_same_secret_is_stored_differently_each_time() -> None:
    assert encryption.encrypt(SECRET) != encryption.encrypt(SECRET)


def test_no_secret_stays_no_secret(engine: Engine) -> None:
    number = store(engine, None)
    assert raw(engine) is None
    assert read(engine, number) is None


def test_a_secret_is_not_read_unless_asked_for(engine: Engine) -> None:
    store(engine)
    with Session(engine) as session:
        row = session.scalars(select(Connection)).one()
        assert "password" in inspect(row).unloaded
        assert row.has_password
        assert not row.has_client_key


def test_an_old_key_still_decrypts_and_the_first_encrypts(keys: str) -> None:
    old = encryption.encrypt(SECRET)
    new_key = encryption.new_key()
    encryption.configure([new_key, keys])
    assert encryption.decrypt(old) == SECRET
    new = encryption.encrypt(SECRET)
    encryption.configure([new_key])
    assert encryption.decrypt(new) == SECRET
    with pytest.raises(encryption.UndecryptableError):
        encryption.decrypt(old)


def test_a_record_with_a_lost_key_can_still_be_listed_and_edited(engine: Engine) -> None:
    number = store(engine)
    encryption.configure([encryption.new_key()])
    with Session(engine) as session:
        row = session.scalars(select(Connection)).one()
        row.password = "fresh"
        session.commit()
    assert read(engine, number) == "fresh"


def test_the_error_for_a_lost_key_says_which_setting_and_no_value(engine: Engine) -> None:
    number = store(engine)
    encryption.configure([encryption.new_key()])
    with pytest.raises(encryption.UndecryptableError, match="HAWSER_ENCRYPTION_KEYS") as caught:
        read(engine, number)
    assert str(raw(engine)) not in str(caught.value)


@pytest.mark.parametrize("token", ["", "plain text", "gAAAA", "ä"])
def test_what_was_never_encrypted_is_undecryptable(token: str) -> None:
    with pytest.raises(encryption.UndecryptableError):
        encryption.decrypt(token)


def test_a_process_that_forgot_its_keys_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encryption, "_ring", None)
    with pytest.raises(RuntimeError, match="configure"):
        encryption.encrypt(SECRET)


@pytest.mark.parametrize("key", ["", "short", "*" * 44])
def test_a_key_that_is_none_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="Fernet key"):
        encryption.configure([key])
