"""A request holds one database connection at a time: as many as there are threads are enough."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any

import pytest
from sqlalchemy import Engine, event

from tests.security.site import Site


@contextmanager
def counting(engine: Engine) -> Iterator[list[int]]:
    """A list, the last number of which is the most that this thread has held at once."""
    held, most, me = set[int](), [0], get_ident()

    def out(_dbapi: Any, record: Any, _proxy: Any) -> None:
        if get_ident() == me:
            held.add(id(record))
            most[0] = max(most[0], len(held))

    def back(_dbapi: Any, record: Any) -> None:
        held.discard(id(record))

    event.listen(engine, "checkout", out)
    event.listen(engine, "checkin", back)
    try:
        yield most
    finally:
        event.remove(engine, "checkout", out)
        event.remove(engine, "checkin", back)


@pytest.mark.parametrize("role", ["admin", None])
def test_no_page_holds_two_connections(site: Site, role: str | None) -> None:
    caller = site.client(role)
    caller.get("/admin/", follow_redirects=True)
    greedy = {}
    for address in site.addresses("GET"):
        if address.endpoint == "security.logout":
            continue
        with counting(site.engine) as most:
            caller.get(address.path).close()
        if most[0] > 1:
            greedy[address.path] = most[0]
    assert greedy == {}


def test_liveness_looks_at_no_session(site: Site) -> None:
    caller = site.client("viewer")
    with counting(site.engine) as most:
        assert caller.get("/livez").json == {"status": "pass"}
    assert most[0] == 0
