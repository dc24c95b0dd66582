"""Why the database cannot be used yet, in one sentence with its cure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection as Transaction
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from database import connect_error, migrate, server_requirements, sqlite_file
from database.sentences import Sentence, say
from database.visible import visible

#: Seconds between two looks at a database that is not ready.
RETRY_INTERVAL = 1.0


@dataclass(frozen=True)
class Obstacle:
    """Something that a set-up cannot mend."""

    #: For everybody: neither address nor user.
    sentence: Sentence
    #: For whoever runs Hawser: the server's own words, if it spoke.
    words: str
    #: The error that was met, if it was one.
    error: SQLAlchemyError | None = None


def obstacle(engine: Engine) -> Obstacle | None:
    """Return what keeps the set-up from bringing the database to head, or None."""
    try:
        with engine.connect() as transaction:
            sentence = _unmet(engine, transaction) or migrate.foreign(transaction)
            if sentence is not None:
                # The next look must not find the settings of this session.
                transaction.invalidate()
    except SQLAlchemyError as error:
        return Obstacle(_unreachable(engine, error), own_words(engine, error), error)
    return None if sentence is None else Obstacle(sentence, sentence)


def problem(engine: Engine, *, in_own_words: bool = False) -> str | None:
    """Return one sentence why the database cannot be used yet, None if it can.

    `in_own_words`: with those of the server, for whoever runs Hawser.
    """
    found = obstacle(engine)
    if found is not None:
        return found.words if in_own_words else found.sentence
    try:
        return migrate.behind(engine)
    except SQLAlchemyError as error:
        return _unreachable(engine, error)


def wait_until_ready(
    find: Callable[[], str | None],
    pause: Callable[[float], object],
    report: Callable[[str], object],
) -> None:
    """Return when `find`, a way to ask for the `problem`, finds none.

    `report` hears of each new problem once; `pause` is called between looks.
    """
    reported = None
    while (found := find()) is not None:
        if found != reported:
            report(found)
            reported = found
        pause(RETRY_INTERVAL)


def _unmet(engine: Engine, transaction: Transaction) -> Sentence | None:
    if engine.dialect.name != "postgresql":
        return None
    return server_requirements.unmet(engine, transaction)


def _unreachable(engine: Engine, error: SQLAlchemyError) -> Sentence:
    if (found := sqlite_file.problem(error)) is not None:
        return found
    kind = type(error).__name__
    if engine.dialect.name == "sqlite" and isinstance(error, DBAPIError):
        # Its own words say whether the file is at fault; those of servers hold addresses.
        kind = str(error.orig)
    return say("the database cannot be reached ({kind})", kind=kind)


def own_words(engine: Engine, error: SQLAlchemyError) -> str:
    """Return what the database said, for whoever runs Hawser."""
    if (found := sqlite_file.problem(error)) is not None:
        return found
    name = "PostgreSQL"
    if engine.dialect.name == "sqlite":
        name = f"the SQLite file {visible(str(engine.url.database))}"
    return f"HAWSER_DATABASE_URL: {name} cannot be used: {connect_error.words(error)}"
