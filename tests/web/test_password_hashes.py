"""Passwords outlive HAWSER_SECRET_KEY, those that older versions stored too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import argon2
import pytest
from flask import Flask
from sqlalchemy import Engine, text

from database import encryption, migrate
from database.session import make_engine
from tests.conftest import ENCRYPTION_KEY
from tests.support.databases import Databases
from tests.web import people
from tests.web.conftest import SECRET_KEY, Visitor
from tests.web.people import PASSWORD, is_in, new_password, one
from webapp import setup
from webapp.people import accounts, password_hashes, registry, tables

#: What the version of schema 0006 stored for PASSWORD with SECRET_KEY.
OLD_HASH = (
    "$argon2id$v=19$m=64,t=1,p=4$J2TMOYcw5lxrba01prQWgg$a4kN9BEE8uBrK4em4nlXkUlHGjHe/QSjrOvlR2fZIsY"
)
NEW_KEY = "n" * 40
ANN, BOB = "ann@hawser.example", "bob@hawser.example"
KEPT = "select key from legacy_password_key"


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """A database as version 0006 left it, with two accounts, that was upgraded."""
    with databases.empty() as url:
        engine = make_engine(url)
        migrate.upgrade(engine, "0006")
        _add_old_accounts(engine)
        migrate.upgrade(engine)
        engine.dispose()
        yield url


def _add_old_accounts(engine: Engine) -> None:
    account = text(
        "insert into user_account (email, password, active, fs_uniquifier)"
        " values (:email, :password, true, :email)"
    )
    with engine.begin() as transaction:
        transaction.execute(text("insert into role (name) values ('admin')"))
        for email in (ANN, BOB):
            transaction.execute(account, {"email": email, "password": OLD_HASH})
        transaction.execute(
            text("insert into role_user select user_account.id, role.id from user_account, role")
        )


def set_up(app: Flask) -> None:
    """Do what `webapp setup` does about the key, with the settings of `app`."""
    with app.app_context():
        setup.keep_password_key(app.extensions["hawser-settings"])


def sign_in(app: Flask, email: str, password: str = PASSWORD) -> Visitor:
    visitor = Visitor(app.test_client())
    visitor.sign_in(email, password)
    return visitor


def stored(engine: Engine, email: str) -> str:
    return str(one(engine, f"select password from user_account where email = '{email}'"))


def test_a_new_secret_key_leaves_passwords_as_they_are(make_app: Callable[..., Flask]) -> None:
    people.make(make_app(), email="carl@hawser.example")
    assert is_in(sign_in(make_app(secret_key=NEW_KEY), "carl@hawser.example"))


def test_a_password_is_hashed_once(make_app: Callable[..., Flask], engine: Engine) -> None:
    people.make(make_app(), email="carl@hawser.example")
    argon2.PasswordHasher().verify(stored(engine, "carl@hawser.example"), PASSWORD)


def test_an_old_hash_opens_after_a_new_secret_key_and_is_replaced(
    make_app: Callable[..., Flask], engine: Engine
) -> None:
    set_up(make_app())
    app = make_app(secret_key=NEW_KEY)
    assert not is_in(sign_in(app, ANN, "wrong horse battery"))
    assert stored(engine, ANN) == OLD_HASH
    assert is_in(sign_in(app, ANN))
    argon2.PasswordHasher().verify(stored(engine, ANN), PASSWORD)
    assert is_in(sign_in(make_app(secret_key="o" * 40), ANN))


def test_the_old_key_is_kept_encrypted_until_no_old_hash_is_left(
    make_app: Callable[..., Flask], engine: Engine
) -> None:
    set_up(make_app())
    set_up(make_app(secret_key=NEW_KEY))
    app = make_app(secret_key=NEW_KEY)
    assert SECRET_KEY not in one(engine, KEPT)
    assert encryption.decrypt(one(engine, KEPT)) == SECRET_KEY
    sign_in(app, ANN)
    assert encryption.decrypt(one(engine, KEPT)) == SECRET_KEY
    sign_in(app, BOB)
    assert one(engine, KEPT) is None
    set_up(app)
    assert one(engine, KEPT) is None


def test_two_who_replace_the_last_hashes_at_once_leave_no_key(
    make_app: Callable[..., Flask], engine: Engine
) -> None:
    app = make_app()
    set_up(app)
    with ThreadPoolExecutor(2) as pool:
        assert all(map(is_in, pool.map(lambda email: sign_in(app, email), (ANN, BOB))))
    assert one(engine, KEPT) is None


def test_old_hashes_open_before_the_set_up_has_kept_the_key(make_app: Callable[..., Flask]) -> None:
    assert is_in(sign_in(make_app(), ANN))


def test_the_kept_key_moves_to_the_first_encryption_key(
    make_app: Callable[..., Flask], engine: Engine
) -> None:
    set_up(make_app())
    first = encryption.new_key()
    set_up(make_app(encryption_keys=f"{first},{ENCRYPTION_KEY}"))
    app = make_app(encryption_keys=first, secret_key=NEW_KEY)
    assert is_in(sign_in(app, ANN))


def test_a_kept_key_that_nothing_opens_leaves_the_current_one(
    make_app: Callable[..., Flask], engine: Engine
) -> None:
    set_up(make_app())
    token = one(engine, KEPT)
    app = make_app(encryption_keys=encryption.new_key())
    set_up(app)
    assert one(engine, KEPT) == token
    assert is_in(sign_in(app, ANN))


def test_a_reset_of_the_last_old_password_forgets_the_key(
    make_app: Callable[..., Flask], engine: Engine
) -> None:
    app = make_app()
    set_up(app)
    sign_in(app, ANN)
    with app.app_context(), tables.changing() as transaction:
        number = registry.numbered(transaction, BOB)
        found = registry.person(transaction, accounts.settings_of_app(), number or 0)
        registry.reset_password(transaction, found)
    assert one(engine, KEPT) is None


def test_an_old_password_can_be_changed(make_app: Callable[..., Flask], engine: Engine) -> None:
    set_up(make_app())
    app = make_app(secret_key=NEW_KEY)
    visitor = sign_in(app, ANN)
    # As if an older web had written it since.
    with engine.begin() as transaction:
        transaction.execute(text("update user_account set password = :old"), {"old": OLD_HASH})
    assert new_password(visitor).status_code == 302
    assert is_in(sign_in(make_app(secret_key="o" * 40), ANN, "another horse battery"))


def test_an_old_password_confirms_a_change_of_the_account(
    make_app: Callable[..., Flask], engine: Engine
) -> None:
    set_up(make_app())
    visitor = sign_in(make_app(secret_key=NEW_KEY), ANN)
    with engine.begin() as transaction:
        transaction.execute(text("update user_account set password = :old"), {"old": OLD_HASH})
    page = visitor.post("/admin/account/second-factor/", {"code": "1", "password": PASSWORD})
    assert "This is not your password." not in page.text


def test_a_reset_in_the_meantime_is_not_overwritten(
    make_app: Callable[..., Flask], engine: Engine
) -> None:
    app = make_app()
    with app.app_context():
        account: Any = accounts.datastore.find_user(email=ANN)
        assert account.password == OLD_HASH
        with tables.changing() as transaction:
            transaction.execute(text("update user_account set password = 'reset'"))
        assert account.verify_and_update_password(PASSWORD)
    assert stored(engine, ANN) == "reset"


def test_a_hash_that_cannot_be_read_opens_nothing(
    make_app: Callable[..., Flask], engine: Engine
) -> None:
    with engine.begin() as transaction:
        transaction.execute(text("update user_account set password = '$argon2id$x'"))
    visitor = Visitor(make_app().test_client())
    assert visitor.sign_in(ANN, PASSWORD).status_code == 200


def test_every_sign_in_looks_the_old_key_up(
    make_app: Callable[..., Flask], engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    found = password_hashes.former_key

    def look() -> str:
        looked.append("up")
        return found()

    monkeypatch.setattr(password_hashes, "former_key", look)
    app = make_app()
    sign_in(app, "nobody@hawser.example")
    assert looked == ["up"]


def test_a_first_password_opens_however_its_accents_are_composed(
    make_app: Callable[..., Flask],
) -> None:
    app = make_app()
    with app.app_context():
        accounts.create("carl@hawser.example", "cavallo cos\u00ec citt\u00e0", "admin")
    assert is_in(sign_in(app, "carl@hawser.example", "cavallo cosi\u0300 citta\u0300"))
