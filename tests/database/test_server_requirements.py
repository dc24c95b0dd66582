"""A server that cannot do what Hawser needs is refused in one sentence."""

from __future__ import annotations

import pytest

from database import readiness
from database.session import make_engine
from tests.support.postgresql import PostgreSQL


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
