"""A listener that stands in for another broker never gets a stored password: the real worker dials.

Each way is tried twice: with the password left out it is refused, and with a new one the
listener hears that one. So the way does lead there, and only the stored password does not.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from tests.support.scripted_broker import ScriptedBroker
from tests.web.conftest import Visitor
from tests.web.forms import LIST, NEW, SECRET, form
from tests.web.test_import_page import token
from tests.worker.service.worker import WorkerProcess
from webapp.connections import portability

JSON = {"Accept": "application/json"}
CONNECTED = "select count(*) from connection_status where state = 'connected'"


@pytest.fixture
def databases(sqlite_databases: Any) -> Any:
    """What the worker reads is the same on both."""
    return sqlite_databases


@pytest.fixture
def elsewhere() -> Iterator[ScriptedBroker]:
    """The listener that wants the password."""
    with ScriptedBroker() as listener:
        yield listener


class Fleet:
    """Connections to one broker, each with the password, and the ways to lead them elsewhere."""

    def __init__(self, operator: Visitor, engine: Engine, home: Path, port: int) -> None:
        self._operator, self._engine, self._home, self._port = operator, engine, home, port

    def add(self, name: str) -> None:
        fields = self._form(name, port=str(self._port), password=SECRET)
        assert self._operator.post(NEW, fields).status_code == 302

    def save(self, name: str, **values: str) -> bool:
        path = f"{LIST}edit/?id={self._number(name)}"
        fields = self._form(name, revision="1", **values)
        return self._operator.post(path, fields).status_code == 302

    def copy(self, name: str, **values: str) -> bool:
        path = f"{NEW}?from={self._number(name)}"
        fields = self._form(f"{name}-2", with_secrets="y", **values)
        return self._operator.post(path, fields).status_code == 302

    def test(self, name: str, **values: str) -> bool:
        path = f"{LIST}test?id={self._number(name)}"
        return self._operator.post(path, self._form(name, **values), headers=JSON).status_code < 300

    def test_copy(self, name: str, **values: str) -> bool:
        path = f"{LIST}test?from={self._number(name)}"
        fields = self._form(f"{name}-2", with_secrets="y", **values)
        return self._operator.post(path, fields, headers=JSON).status_code < 300

    def file_in_the_browser(self, name: str, **values: str) -> bool:
        content = json.dumps([self._item(name, **values)]).encode()
        page = self._operator.post(LIST + "import", {"file": (io.BytesIO(content), "c.json")})
        if 'name="token"' not in page.text:
            return False
        return self._operator.post(LIST + "import", {"token": token(page)}).status_code == 302

    def file_on_the_command_line(self, name: str, **values: str) -> bool:
        path = self._home / "connections.json"
        path.write_text(json.dumps([self._item(name, **values)]))
        return portability.import_file(str(path)) == 0

    def _form(self, name: str, **values: str) -> dict[str, Any]:
        return form(name=name, site=name, host="127.0.0.1", username="u", **values)

    def _item(self, name: str, **values: str) -> dict[str, Any]:
        return {"name": name, **values, "port": int(values["port"])}

    def _number(self, name: str) -> int:
        with self._engine.connect() as transaction:
            query = text("select id from connection where name = :name")
            return int(transaction.scalar(query, {"name": name}) or 0)

    def connected(self) -> int:
        with self._engine.connect() as transaction:
            return int(transaction.scalar(text(CONNECTED)) or 0)


WAYS: list[Callable[..., bool]] = [
    Fleet.save,
    Fleet.copy,
    Fleet.test,
    Fleet.test_copy,
    Fleet.file_in_the_browser,
    Fleet.file_on_the_command_line,
]


def test_a_stored_password_never_reaches_another_listener_by_any_way(
    operator: Visitor,
    engine: Engine,
    home: Path,
    tmp_path: Path,
    process_environment: dict[str, str],
    scripted_broker: ScriptedBroker,
    elsewhere: ScriptedBroker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HOME", "DATABASE_URL", "ENCRYPTION_KEYS", "HOSTNAME"):
        monkeypatch.setenv(f"HAWSER_{name}", process_environment[f"HAWSER_{name}"])
    fleet = Fleet(operator, engine, home, scripted_broker.port)
    names = {way.__name__: way for way in WAYS}
    for name in names:
        fleet.add(name)
    with WorkerProcess(tmp_path, process_environment, engine) as worker:
        worker.child.wait_for(lambda: fleet.connected() == len(WAYS), 30, "all are connected")
        assert {each.password for each in scripted_broker.connects} == {SECRET.encode()}
        there = {"port": str(elsewhere.port)}
        for name, way in names.items():
            assert not way(fleet, name, **there), name
        for name, way in names.items():
            assert way(fleet, name, **there, password=f"new-{name}"), name
        heard = {f"new-{name}".encode() for name in names}
        elsewhere.wait(lambda: heard <= {each.password for each in elsewhere.connects}, 30)
        assert SECRET.encode() not in {each.password for each in elsewhere.connects}
