"""A stored password or client key goes nowhere else: every way to change or test a connection."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text
from werkzeug.test import TestResponse

from database.hosts import normalized_host
from tests.conftest import ENCRYPTION_KEY, HOSTNAME
from tests.support.certificates import Certificates
from tests.web import rows
from tests.web.conftest import Visitor
from tests.web.forms import LIST, NEW, SECRET, errors, form, one
from webapp.connections import portability

JSON = {"Accept": "application/json"}
#: What makes others able to read what is sent.
MOVES: dict[str, dict[str, Any]] = {
    "host": {"host": "elsewhere.example"},
    "a name looked for elsewhere": {"host": "broker.example."},
    "port": {"port": "8884"},
    "tls": {"tls": None},
    "verification": {"tls_verify": None},
    "all": {"host": "127.0.0.1", "port": "1883", "tls": None, "tls_verify": None},
}
#: What does not.
STAYS: dict[str, dict[str, Any]] = {
    "spelling": {"host": "BROKER.Example"},
    "login": {"username": "another", "client_id": "another"},
    "ca": {"tls_ca_pem": "ca"},
}
Values = dict[str, Any]
#: A way to send a record with differences: the fields that refused it, None if it was taken.
Way = Callable[[Values], "set[str] | None"]


class Stage:
    """One stored record with a password and a client key, and the ways to change it."""

    def __init__(self, operator: Visitor, engine: Engine, certificates: Certificates) -> None:
        self.operator, self.engine = operator, engine
        self.pems = {"ca": certificates.ca.certificate_pem, "key": certificates.client.key_pem}
        self.stored: Values = {
            "host": "broker.example",
            "port": "8883",
            "username": "u",
            "tls": "y",
            "tls_client_cert_pem": certificates.client.certificate_pem,
        }
        secrets = {"password": SECRET, "tls_client_key_pem": self.pems["key"]}
        assert operator.post(NEW, form(**self.stored, **secrets)).status_code == 302
        self.number = one(engine, "select id from connection")

    def form(self, values: Values, **more: Any) -> Values:
        """Return what a browser sends for the record with differences."""
        pems = {name: self.pems.get(value, value) for name, value in values.items()}
        return form(**self.stored | {"revision": "1"} | more | pems)

    # --- the ways

    def save(self, values: Values) -> set[str] | None:
        path = f"{LIST}edit/?id={self.number}"
        return self._answer(self.operator.post(path, self.form(values)))

    def copy(self, values: Values) -> set[str] | None:
        fields = self.form(values, name="copy", site="copy", with_secrets="y", revision=None)
        return self._answer(self.operator.post(f"{NEW}?from={self.number}", fields))

    def test(self, values: Values) -> set[str] | None:
        path = f"{LIST}test?id={self.number}"
        return self._tested(self.operator.post(path, self.form(values), headers=JSON))

    def test_with_the_real_client_id(self, values: Values) -> set[str] | None:
        return self.test(values | {"use_real_client_id": "y"})

    def test_of_a_copy(self, values: Values) -> set[str] | None:
        fields = self.form(values, name="copy", site="copy", with_secrets="y")
        path = f"{LIST}test?from={self.number}"
        return self._tested(self.operator.post(path, fields, headers=JSON))

    def test_of_both(self, values: Values) -> set[str] | None:
        other = rows.record(self.engine, "other", host=values.get("host", "broker.example"))
        fields = self.form(values, name="other", site="other", with_secrets="y")
        path = f"{LIST}test?id={other}&from={self.number}"
        self.operator.post(path, fields, headers=JSON)
        return None

    def file_in_the_browser(self, values: Values) -> set[str] | None:
        content = json.dumps([self.item(values)]).encode()
        page = self.operator.post(LIST + "import", {"file": (io.BytesIO(content), "c.json")}).text
        if token := re.search(r'name="token" value="([^"]+)"', page):
            self.operator.post(LIST + "import", {"token": token[1]})
            return None
        return set(re.findall(r"<code>(\w+)</code></td>", page))

    def file_on_the_command_line(self, values: Values) -> set[str] | None:
        path = self.home / "connections.json"
        path.write_text(json.dumps([self.item(values)]))
        if portability.import_file(str(path)) == 0:
            return None
        return set(re.findall(r'"plant-1"\), (\w+):', self.capsys.readouterr().err))

    home: Path
    capsys: pytest.CaptureFixture[str]

    def item(self, values: Values) -> Values:
        """Return the differences as a file says them."""
        found: Values = {"name": "plant-1"}
        for name, value in values.items():
            if name.startswith("clear_"):
                found[name.removeprefix("clear_")] = None
            elif name in ("tls", "tls_verify"):
                found[name] = value is not None
            else:
                found[name] = int(value) if name == "port" else self.pems.get(value, value)
        return found

    def _answer(self, answer: TestResponse) -> set[str] | None:
        if answer.status_code == 302:
            return None
        # What was entered does not come back: that is another sentence.
        return {name for name, words in errors(answer).items() if "once more" not in words}

    def _tested(self, answer: TestResponse) -> set[str] | None:
        return None if answer.status_code == 202 else set(answer.get_json()["errors"])

    # --- what became of it

    def destinations(self) -> list[tuple[str, int, bool, bool]]:
        """Return where the stored secrets are sent: by records, and by tests asked for."""
        query = (
            "select host, port, tls, tls_verify from connection where password is not null "
            "or tls_client_key_pem is not null"
        )
        with self.engine.connect() as transaction:
            found = [
                (row.host, row.port, bool(row.tls), bool(row.tls_verify))
                for row in transaction.execute(text(query))
            ]
        for command in rows.parameters(self.engine):
            record = json.loads(command)["record"]
            if record["password"] == SECRET or record["tls_client_key_pem"] == self.pems["key"]:
                sent = (record[name] for name in ("host", "port", "tls", "tls_verify"))
                found.append(tuple(sent))
        return found


WAYS = [
    Stage.save,
    Stage.copy,
    Stage.test,
    Stage.test_with_the_real_client_id,
    Stage.test_of_a_copy,
    Stage.file_in_the_browser,
    Stage.file_on_the_command_line,
]
every_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)


@pytest.fixture
def databases(sqlite_databases: Any) -> Any:
    """The rule is the same on both; test_writing_at_once.py shows what PostgreSQL adds."""
    return sqlite_databases


@pytest.fixture
def stage(
    operator: Visitor,
    worker: Engine,
    certificates: Certificates,
    home: Path,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Stage:
    settings = {"HOME": home, "DATABASE_URL": database_url, "HOSTNAME": HOSTNAME}
    for name, value in (settings | {"ENCRYPTION_KEYS": ENCRYPTION_KEY}).items():
        monkeypatch.setenv(f"HAWSER_{name}", str(value))
    made = Stage(operator, worker, certificates)
    made.home, made.capsys = home, capsys
    return made


@every_way
def test_no_way_sends_a_stored_secret_somewhere_else(stage: Stage, way: Any) -> None:
    home = ("broker.example", 8883, True, True)
    for name, move in MOVES.items():
        assert way(stage, move) == {"password", "tls_client_key_pem"}, name
        assert way(stage, move | {"password": "new"}) == {"tls_client_key_pem"}, name
        assert way(stage, move | {"tls_client_key_pem": "key"}) == {"password"}, name
        assert set(stage.destinations()) == {home}, name


@every_way
@pytest.mark.parametrize("stays", STAYS)
def test_what_moves_no_secret_asks_for_none(stage: Stage, way: Any, stays: str) -> None:
    assert way(stage, STAYS[stays]) is None


@every_way
def test_a_secret_that_is_entered_again_or_removed_goes_along(stage: Stage, way: Any) -> None:
    move = {"host": "elsewhere.example", "password": "new", "clear_tls_client_key_pem": "y"}
    assert way(stage, move | {"tls_client_cert_pem": ""}) is None


def test_turning_tls_and_its_verification_on_asks_for_nothing(
    operator: Visitor, engine: Engine
) -> None:
    fields = form(username="u", tls_verify=None)
    operator.post(NEW, fields | {"password": SECRET})
    path = f"{LIST}edit/?id={one(engine, 'select id from connection')}"
    for revision, on in (("1", {"tls": "y"}), ("2", {"tls": "y", "tls_verify": "y"})):
        assert operator.post(path, fields | on | {"revision": revision}).status_code == 302
    assert one(engine, "select password is not null from connection")


def test_only_what_is_stored_is_asked_for_again(operator: Visitor, engine: Engine) -> None:
    operator.post(NEW, form())
    path = f"{LIST}edit/?id={one(engine, 'select id from connection')}"
    assert operator.post(path, form(revision="1", host="elsewhere.example")).status_code == 302


def test_a_wrong_destination_is_told_alone(stage: Stage) -> None:
    assert stage.save({"host": "mqtt://elsewhere.example"}) == {"host"}
    assert stage.test({"port": "70000"}) == {"port"}
    # What is wrong elsewhere is told beside it.
    both = {"password", "tls_client_key_pem", "keepalive_s"}
    assert stage.save({"port": "8884", "keepalive_s": "0"}) == both


def test_the_secrets_of_a_copied_record_never_reach_the_test_of_another(stage: Stage) -> None:
    stage.test_of_both(MOVES["all"])
    assert set(stage.destinations()) == {("broker.example", 8883, True, True)}


def test_a_secret_that_no_key_opens_stays_where_it_is_too(stage: Stage) -> None:
    rows.sql(stage.engine, "update connection set password = 'x'")
    assert stage.save(MOVES["port"]) == {"password", "tls_client_key_pem"}
    assert stage.save({"notes": "the same broker"}) is None


def test_what_counts_is_the_record_at_the_moment_of_the_change(stage: Stage) -> None:
    # Meanwhile somebody has moved the record, with another password, to another broker.
    rows.sql(stage.engine, "update connection set host = 'theirs.example'")
    for way in (Stage.save, Stage.test, Stage.copy, Stage.file_on_the_command_line):
        refused = way(stage, {"host": "broker.example"})
        assert refused == {"password", "tls_client_key_pem"}, way


@pytest.mark.parametrize(
    ("one_host", "other"),
    [
        ("Broker.Example", "broker.example."),
        ("::1", "[::1]"),
        ("::1", "0:0:0:0:0:0:0:1"),
        ("FE80::1%eth0", "fe80::1%eth0"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "bu\u0308cher.example。"),
        (" broker.example ", "broker.example"),
    ],
)
def test_spellings_of_one_host(one_host: str, other: str) -> None:
    assert normalized_host(one_host) == normalized_host(other)


@pytest.mark.parametrize(
    ("one_host", "other"),
    [
        ("broker.example", "broker.example.org"),
        ("broker.example", "broker-example"),
        ("broker.example", "br\u043eker.example"),
        ("localhost", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.2"),
        ("127.0.0.1", "::1"),
        ("fe80::1%eth0", "fe80::1%eth1"),
        ("fe80::1%eth0", "fe80::1"),
        ("a..", "a"),
        ("x" * 64, "X" * 65),
    ],
)
def test_two_hosts(one_host: str, other: str) -> None:
    assert normalized_host(one_host) != normalized_host(other)
