"""A server that cannot do what Hawser needs is refused in one sentence."""

from __future__ import annotations

import pytest

from database import readiness
from database.session import make_engine
from tests.support.postgresql import PostgreSQL, executable


@pytest.mark.postgresql
@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII", "EUC_JP"])
def test_a_server_encoding_that_cannot_hold_every_topic_is_refused(
    postgresql_server: PostgreSQL, encoding: str
) -> None:
    name = postgresql_server.create(options=f"ENCODING '{encoding}' LOCALE 'C'")
    engine = make_engine(postgresql_server.url(name))
    said = readiness.problem(engine)
    engine.dispose()
    postgresql_server.drop(name)
    assert said is not None
    assert said.startswith(f"HAWSER_DATABASE_URL names a database with the encoding {encoding}")
    assert "ENCODING 'UTF8' TEMPLATE template0" in said


#: Whose choice of a setting is refused, and what takes it back.
CHOICES = [
    ("DATABASE {name}", "search_path = nowhere", "ALTER DATABASE ... RESET search_path"),
    ("ROLE hawser IN DATABASE {name}", "search_path = pg_catalog", "ALTER ROLE ... IN DATABASE"),
    ("DATABASE {name}", "search_path = pg_temp, public", "ALTER DATABASE ... RESET search_path"),
    ("DATABASE {name}", "session_replication_role = replica", "session_replication_role = replica"),
]


@pytest.mark.postgresql
def test_a_setting_that_would_lose_data_or_find_no_table_is_refused_with_its_cure(
    postgresql_server: PostgreSQL,
) -> None:
    name = postgresql_server.create()
    engine = make_engine(postgresql_server.url(name))
    for whose, setting, words in CHOICES:
        subject = whose.format(name=name)
        postgresql_server.execute(f"ALTER {subject} SET {setting}")
        engine.dispose()
        said = readiness.problem(engine)
        assert said is not None
        assert said.startswith("HAWSER_DATABASE_URL leads to a session ")
        assert words in said
        assert name not in said
        postgresql_server.execute(f"ALTER {subject} RESET {setting.partition(' ')[0]}")
    engine.dispose()
    # The words of a session that chose it for itself.
    engine = make_engine(f"{postgresql_server.url(name)}?options=-c%20search_path%3Dnowhere")
    assert "where it is set: HAWSER_DATABASE_URL, PGOPTIONS" in (readiness.problem(engine) or "")
    engine.dispose()
    postgresql_server.drop(name)


@pytest.mark.postgresql
def test_a_standby_server_is_refused() -> None:
    if executable("initdb") is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    server = PostgreSQL()
    server.become_standby()
    try:
        server.start()
        engine = make_engine(server.url("postgres"))
        said = readiness.problem(engine)
        engine.dispose()
    finally:
        server.remove()
    assert said is not None
    assert said.startswith("HAWSER_DATABASE_URL names a standby server")
    assert said.endswith("name the primary server")
