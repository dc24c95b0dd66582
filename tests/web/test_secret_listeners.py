"""A listener that stands in for a broker never gets a stored secret: the real worker dials.

Each way is tried twice: with the secrets left out it is refused, and with new ones the
listener hears those. So the way does lead there, and only what is stored does not.
"""

from __future__ import annotations

import io
import json
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from tests.support.certificates import Certificates
from tests.support.scripted_broker import ScriptedBroker
from tests.support.scripted_session import Session
from tests.web.conftest import Visitor
from tests.web.forms import LIST, NEW, SECRET, form
from tests.web.test_import_page import token
from tests.worker.service.worker import WorkerProcess
from webapp.connections import portability

JSON = {"Accept": "application/json"}
CONNECTED = "state = 'connected'"
NOT_TRUSTED = "reason_code = 'tls_unknown_ca'"
#: The first byte of a client that wants TLS.
HANDSHAKE = b"\x16"


@pytest.fixture
def databases(sqlite_databases: Any) -> Any:
    """What the worker reads is the same on both."""
    return sqlite_databases


@pytest.fixture
def elsewhere() -> Iterator[ScriptedBroker]:
    """The listener that wants the password."""
    with ScriptedBroker() as listener:
        yield listener


@pytest.fixture
def command_line(process_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings that `manage.py connections` finds in its environment."""
    for name in ("HOME", "DATABASE_URL", "ENCRYPTION_KEYS", "HOSTNAME"):
        monkeypatch.setenv(f"HAWSER_{name}", process_environment[f"HAWSER_{name}"])


class Impostor(ScriptedBroker):
    """Stands in the broker's place: with TLS and without, and asks for a client certificate."""

    def __init__(self, certificates: Certificates) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificates.server.certificate, certificates.server.key)
        self._context.verify_mode = ssl.CERT_OPTIONAL
        for authority in (certificates.ca, certificates.other_ca):
            self._context.load_verify_locations(authority.certificate)
        #: The certificates whose keys clients have used.
        self.clients: set[bytes | None] = set()
        super().__init__()

    def _wrap(self, session: Session) -> None:
        if session.socket.recv(1, socket.MSG_PEEK) == HANDSHAKE:
            session.socket = self._context.wrap_socket(session.socket, server_side=True)
            self.clients.add(session.socket.getpeercert(binary_form=True))

    def passwords(self) -> set[bytes | None]:
        """Return every password that came."""
        return {each.password for each in self.connects}


class Fleet:
    """Connections to one broker, each with the password, and the ways to lead them elsewhere."""

    def __init__(self, operator: Visitor, engine: Engine, home: Path, **stored: str) -> None:
        self._operator, self._engine, self._home, self._stored = operator, engine, home, stored

    def add(self, name: str, **secrets: str) -> None:
        fields = self._form(name, password=SECRET, **secrets)
        assert self._operator.post(NEW, fields).status_code == 302

    def save(self, name: str, **values: str | None) -> bool:
        path = f"{LIST}edit/?id={self._number(name)}"
        fields = self._form(name, revision="1", **values)
        return self._operator.post(path, fields).status_code == 302

    def copy(self, name: str, **values: str | None) -> bool:
        path = f"{NEW}?from={self._number(name)}"
        fields = self._form(f"{name}-2", with_secrets="y", **values)
        return self._operator.post(path, fields).status_code == 302

    def test(self, name: str, **values: str | None) -> bool:
        path = f"{LIST}test?id={self._number(name)}"
        return self._operator.post(path, self._form(name, **values), headers=JSON).status_code < 300

    def test_copy(self, name: str, **values: str | None) -> bool:
        path = f"{LIST}test?from={self._number(name)}"
        fields = self._form(f"{name}-2", with_secrets="y", **values)
        return self._operator.post(path, fields, headers=JSON).status_code < 300

    def file_in_the_browser(self, name: str, **values: str | None) -> bool:
        content = json.dumps([self._item(name, **values)]).encode()
        page = self._operator.post(LIST + "import", {"file": (io.BytesIO(content), "c.json")})
        if 'name="token"' not in page.text:
            return False
        return self._operator.post(LIST + "import", {"token": token(page)}).status_code == 302

    def file_on_the_command_line(self, name: str, **values: str | None) -> bool:
        path = self._home / "connections.json"
        path.write_text(json.dumps([self._item(name, **values)]))
        return portability.import_file(str(path)) == 0

    def _form(self, name: str, **values: str | None) -> dict[str, Any]:
        fields = {"host": "127.0.0.1", "username": "u", **self._stored, **values}
        return form(name=name, site=name, **fields)

    def _item(self, name: str, **values: str | None) -> dict[str, Any]:
        found: dict[str, Any] = {"name": name}
        for field, value in values.items():
            # A box that a browser does not send is false in a file.
            found[field] = False if value is None else int(value) if field == "port" else value
        return found

    def _number(self, name: str) -> int:
        with self._engine.connect() as transaction:
            query = text("select id from connection where name = :name")
            return int(transaction.scalar(query, {"name": name}) or 0)

    def count(self, what: str) -> int:
        """Return how many connections are in a condition."""
        query = text(f"select count(*) from connection_status where {what}")
        with self._engine.connect() as transaction:
            return int(transaction.scalar(query) or 0)


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
    command_line: None,
) -> None:
    fleet = Fleet(operator, engine, home, port=str(scripted_broker.port))
    names = {way.__name__: way for way in WAYS}
    for name in names:
        fleet.add(name)
    with WorkerProcess(tmp_path, process_environment, engine) as worker:
        worker.child.wait_for(lambda: fleet.count(CONNECTED) == len(WAYS), 30, "all are connected")
        assert {each.password for each in scripted_broker.connects} == {SECRET.encode()}
        there = {"port": str(elsewhere.port)}
        for name, way in names.items():
            assert not way(fleet, name, **there), name
        for name, way in names.items():
            assert way(fleet, name, **there, password=f"new-{name}"), name
        heard = {f"new-{name}".encode() for name in names}
        elsewhere.wait(lambda: heard <= {each.password for each in elsewhere.connects}, 30)
        assert SECRET.encode() not in {each.password for each in elsewhere.connects}


def test_turning_tls_or_its_verification_off_hands_no_stored_secret_to_an_impostor(
    operator: Visitor,
    engine: Engine,
    home: Path,
    tmp_path: Path,
    process_environment: dict[str, str],
    certificates: Certificates,
    command_line: None,
) -> None:
    stored, new = certificates.client, certificates.stranger_client
    moves = [(way, flag) for flag in ("tls", "tls_verify") for way in WAYS]
    with Impostor(certificates) as impostor:
        fleet = Fleet(
            operator,
            engine,
            home,
            port=str(impostor.port),
            tls="y",
            tls_ca_pem=certificates.other_ca.certificate_pem,
            tls_client_cert_pem=stored.certificate_pem,
        )
        names = {f"{way.__name__}-{flag}": (way, flag) for way, flag in moves}
        for name in names:
            fleet.add(name, tls_client_key_pem=stored.key_pem)
        with WorkerProcess(tmp_path, process_environment, engine) as worker:
            worker.child.wait_for(
                lambda: fleet.count(NOT_TRUSTED) == len(names), 30, "nobody trusts the impostor"
            )
            taken = [
                name for name, (way, flag) in names.items() if way(fleet, name, **{flag: None})
            ]
            # Each way does lead there: with secrets that are entered anew.
            pair = {"tls_client_cert_pem": new.certificate_pem, "tls_client_key_pem": new.key_pem}
            for name in names.keys() - taken:
                way, flag = names[name]
                secrets = {"password": f"new-{name}", **pair}
                assert way(fleet, name, **{flag: None}, **secrets), name
            sent = {(SECRET if name in taken else f"new-{name}").encode() for name in names}
            impostor.wait(lambda: sent <= impostor.passwords(), 30)
    assert SECRET.encode() not in impostor.passwords()
    assert impostor.clients == {ssl.PEM_cert_to_DER_cert(new.certificate_pem)}
    assert taken == []
