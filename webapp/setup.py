"""The set-up: keys, schema, roles, first account, sample. Running it again changes nothing."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from sqlalchemy import select

from database import migrate
from database.environment import PREFIX
from database.models import Connection
from database.settings import WRONG_SETTING, data_directory, ignored, load
from webapp import home, setup_lock, sqlite_creation, store
from webapp.app import create_app
from webapp.auditing import audit
from webapp.connections import records
from webapp.people import accounts, password_hashes, registry, tables
from webapp.settings import ADMIN_PASSWORD_FILE, WebSettings
from webapp.setup_attempts import Attempts

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


def say_at_once(line: str) -> None:
    """Print a line that must not wait for others, wherever the output goes.

    Whoever reads it may be gone; what was begun goes on.
    """
    with contextlib.suppress(OSError):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


def run(
    sample: Sample | None = None,
    say: Callable[[str], object] = say_at_once,
    *,
    keep_trying: bool = False,
) -> None:
    """Set everything up. Ends the process with one sentence where it cannot.

    Waits for what may pass by itself; `keep_trying`: for the rest too.
    """
    if os.environ.get(f"{PREFIX}ENV", "demo") == "demo":
        _prepare_home(say)
    settings = load(WebSettings)
    if (words := ignored()) is not None:
        say(f"hawser: {words}")
    _make_home(settings.home)
    app = create_app(settings)
    with app.app_context():
        attempts = Attempts(store.engine(), settings.home, say, keep_trying)
        try:
            sqlite_creation.ensure_file(store.engine(), settings.home)
            attempts.run(lambda: _set_up(settings, sample, say))
        finally:
            store.engine().dispose()


def _set_up(settings: WebSettings, sample: Sample | None, say: Callable[[str], object]) -> None:
    """Bring schema and rows to where they must be; may be done again after a failure."""
    try:
        migrate.upgrade(store.engine())
        keep_password_key(settings)
        accounts.ensure_roles()
        _ensure_admin(settings, say)
        audit.tidy(store.engine(), settings.audit_days)
        if sample is not None:
            _offer_sample(settings, sample, say)
    finally:
        store.db.session.remove()


def _prepare_home(say: Callable[[str], object]) -> None:
    try:
        path = data_directory(os.environ.get(f"{PREFIX}HOME") or "var")
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with setup_lock.lock_directory(path, say):
            home.prepare(path)
    except ValueError as error:
        _end(f"HAWSER_HOME {error}")
    except OSError as error:
        _end(f"HAWSER_HOME: cannot write to the directory that it names ({error.strerror})")


def _make_home(home: Path) -> None:
    """Make the data directory if it is missing: production makes no keys in it, but needs it."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        _end(f"HAWSER_HOME: the directory that it names cannot be made ({error.strerror})")


def _end(sentence: str) -> NoReturn:
    sys.stderr.write(f"hawser: {sentence}\n")
    sys.exit(WRONG_SETTING)


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
