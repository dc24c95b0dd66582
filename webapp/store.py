"""The web's way to the database: one Flask-SQLAlchemy session, one engine for Core.

Pages read columns with `reading()` and write wishes with `writing()`: a short
transaction that takes the lock of all writers first, so that it waits, never fails
half-way, and what it has checked stays true. Flask-SQLAlchemy's session serves the accounts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Connection as Transaction
from sqlalchemy import Engine, update
from sqlalchemy.exc import SQLAlchemyError

from database import config_version, sqlite_guard
from database.base import Base
from database.models import ConfigVersion
from database.session import configure_sessions, engine_options, immediate
from webapp.settings import WebSettings

db = SQLAlchemy(model_class=Base)

#: Threads that answer pages, questions about the health, and uploads, and the one that makes files.
#: They cost little; a page that waits for a lock holds one.
THREADS_OF_PAGES, THREADS_OF_HEALTH, THREADS_OF_UPLOADS, THREADS_OF_DOWNLOADS = 40, 8, 4, 1
ALL_THREADS = THREADS_OF_PAGES + THREADS_OF_HEALTH + THREADS_OF_UPLOADS + THREADS_OF_DOWNLOADS
#: Connections the web keeps open; it opens more where more are needed.
POOL_SIZE = 8
#: That many more: together one for each thread, and one for the picture.
MORE_CONNECTIONS = ALL_THREADS + 1 - POOL_SIZE
#: Longest statement of the web, seconds: a page must not hang longer.
STATEMENT_TIMEOUT = 10.0


def configure(app: Flask, settings: WebSettings) -> None:
    """Bind `app` to the database of `settings`; nothing connects yet."""
    app.config["SQLALCHEMY_DATABASE_URI"] = settings.url
    options = engine_options(
        settings.url.render_as_string(hide_password=False),
        pool_size=POOL_SIZE,
        statement_timeout_s=STATEMENT_TIMEOUT,
    )
    # The connection that was used last has its statements prepared: planning one over the
    # partitions of a month takes PostgreSQL longer than running it.
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {
        **options,
        "pool_use_lifo": True,
        "max_overflow": MORE_CONNECTIONS,
    }
    db.init_app(app)
    # Called before the library's own, which would raise.
    app.teardown_appcontext(lambda _error: roll_back())
    config_version.follow(db.session.session_factory)  # type: ignore[arg-type]
    with app.app_context():
        configure_sessions(db.engine, STATEMENT_TIMEOUT)


def roll_back() -> None:
    """Take back the session's transaction and end it, even where the database has ended it for us.

    A page that waits for a lock leaves it idle for as long; the answer is made by then.
    """
    if not db.session.registry.has():
        return
    try:
        db.session.rollback()
    except SQLAlchemyError:
        db.session().invalidate()


def engine() -> Engine:
    """Return the engine of the current application."""
    found: Engine = db.engine
    return found


@contextmanager
def reading(on: Engine | None = None) -> Iterator[Transaction]:
    """One read transaction: every statement in it sees the same moment on SQLite."""
    with (on or engine()).connect() as transaction:
        yield transaction


@contextmanager
def writing(on: Engine | None = None) -> Iterator[Transaction]:
    """One write transaction on wishes at a time; the worker is told with its commit."""
    with immediate(on or engine()).connect() as transaction:
        with transaction.begin():
            # First: whoever else writes wishes on PostgreSQL waits here, as on SQLite for its
            # write lock. So what was looked at before a write is still so at the commit.
            transaction.execute(update(ConfigVersion).values(version=ConfigVersion.version + 1))
            yield transaction
        # Nobody is told "saved" of what went into a file that is gone.
        sqlite_guard.require_same_file(transaction)
