"""The set-up: keys, schema, roles, first account, sample. Running it again changes nothing."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from database import migrate
from database.environment import PREFIX
from database.models import Connection
from database.settings import WRONG_SETTING, data_directory, load
from webapp import home, sqlite_creation, store
from webapp.app import create_app
from webapp.auditing import audit
from webapp.connections import records
from webapp.people import accounts, password_hashes, registry, tables
from webapp.settings import ADMIN_PASSWORD_FILE, WebSettings

#: Beside the data: the sample was offered once.
SAMPLE_MARKER = "sample-offered"
SAMPLE_NAME = "demo"
SAMPLE_SITE = "site_88"
SAMPLE_FILTER = "demo/#"


@dataclass(frozen=True)
class Sample:
    """The demo broker that the sample connection leads to."""

    host: str
    port: int
    username: str
    password_file: Path


def run(sample: Sample | None = None, say: Callable[[str], object] = print) -> None:
    """Set everything up. Ends the process with one sentence where it cannot."""
    if os.environ.get(f"{PREFIX}ENV", "demo") == "demo":
        _prepare_home()
    settings = load(WebSettings)
    app = create_app(settings)
    with app.app_context():
        try:
            sqlite_creation.ensure_file(store.engine(), settings.home)
            _wait_for_database(store.engine(), say)
            migrate.upgrade(store.engine())
            keep_password_key(settings)
            accounts.ensure_roles()
            _ensure_admin(settings, say)
            audit.tidy(store.engine(), settings.audit_days)
            if sample is not None:
                _offer_sample(settings, sample, say)
        finally:
            store.db.session.remove()
            store.engine().dispose()


def _prepare_home() -> None:
    try:
        path = data_directory(os.environ.get(f"{PREFIX}HOME") or "var")
        home.prepare(path)
    except ValueError as error:
        _end(f"HAWSER_HOME {error}")
    except OSError as error:
        _end(f"HAWSER_HOME: cannot write to the directory that it names ({error.strerror})")


def _end(sentence: str) -> NoReturn:
    sys.stderr.write(f"hawser: {sentence}\n")
    sys.exit(WRONG_SETTING)


def _wait_for_database(engine: Engine, say: Callable[[str], object]) -> None:
    told = False
    while True:
        try:
            migrate.current(engine)
        except SQLAlchemyError as error:
            if engine.dialect.name == "sqlite":
                sys.exit(
                    "hawser: HAWSER_DATABASE_URL: the SQLite file cannot be opened; check that its "
                    f"directory exists and is writable ({type(error).__name__})"
                )
            if not told:
                say("Waiting for the database to accept connections ...")
                told = True
            time.sleep(migrate.RETRY_INTERVAL)
        else:
            return


def keep_password_key(settings: WebSettings) -> None:
    """Keep the secret key for the password hashes of older versions, while there are any."""
    with tables.changing() as transaction:
        password_hashes.keep_key(transaction, settings.secret_key.get_secret_value())


def _ensure_admin(settings: WebSettings, say: Callable[[str], object]) -> None:
    if accounts.any_user():
        return
    try:
        password = accounts.create_first_admin(settings)
    except LookupError as error:
        _end(str(error))
    _note_admin(settings.admin_email)
    say(f"First account: {settings.admin_email}")
    if password:
        kept = settings.home / ADMIN_PASSWORD_FILE
        say(f"Password: {password}  (shown once; kept in {kept} until you change it)")


def _note_admin(email: str) -> None:
    told = {"role": (None, registry.ADMIN)}
    with tables.changing() as transaction:
        number = registry.numbered(transaction, email)
        audit.note(
            transaction,
            "account.create",
            kind=registry.KIND,
            number=number,
            name=email,
            changes=told,
        )


def _offer_sample(settings: WebSettings, sample: Sample, say: Callable[[str], object]) -> None:
    """Add the sample connection on the very first run, never again."""
    marker = settings.home / SAMPLE_MARKER
    if marker.exists():
        return
    values = {
        **records.defaults(),
        "name": SAMPLE_NAME,
        "site": SAMPLE_SITE,
        "host": sample.host,
        "port": sample.port,
        "username": sample.username,
        "password": sample.password_file.read_text(encoding="utf-8").strip(),
        "notes": "A sample that leads to the demo broker. Delete it whenever you like.",
    }
    with store.writing() as transaction:
        if transaction.scalar(select(Connection.id).limit(1)) is None:
            records.create(transaction, values, [{"topic_filter": SAMPLE_FILTER, "qos": 1}])
            say(f"Sample connection “{SAMPLE_NAME}” added.")
    home.keep(marker, "The sample connection was offered once; remove this file to offer it again.")
