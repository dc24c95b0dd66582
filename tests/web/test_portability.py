"""Import and export: everything or nothing, secrets in but never out."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from database.session import immediate
from tests.conftest import ENCRYPTION_KEY, HOSTNAME
from tests.support.databases import ONE_DATABASE
from tests.web import rows
from tests.web.conftest import SECRET_KEY
from webapp.connections import importing, portability

SECRET = "canary-imported-password"
Import = Callable[[Any], int]


def item(name: str = "plant-1", **values: Any) -> dict[str, Any]:
    return {"name": name, "site": f"site-{name}", "host": "broker.example"} | values


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, database_url: str, home: Path) -> None:
    """What the commands read their settings from."""
    monkeypatch.setenv("HAWSER_HOME", str(home))
    monkeypatch.setenv("HAWSER_DATABASE_URL", database_url)
    monkeypatch.setenv("HAWSER_ENCRYPTION_KEYS", ENCRYPTION_KEY)
    monkeypatch.setenv("HAWSER_SECRET_KEY", SECRET_KEY)
    monkeypatch.setenv("HAWSER_HOSTNAME", HOSTNAME)


@pytest.fixture
def run_import(environment: None, tmp_path: Path) -> Import:
    """A function that imports what it is given, as JSON or as text, and returns the status."""

    def run(content: Any) -> int:
        path = tmp_path / "import.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return portability.import_file(str(path))

    return run


def stored(engine: Engine, column: str) -> list[Any]:
    with engine.connect() as transaction:
        return list(transaction.scalars(text(f"select {column} from connection order by name")))


def test_records_are_created_with_subscriptions_and_defaults(
    run_import: Import, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = [{"topic_filter": "a/#", "qos": 2}, {"topic_filter": "b"}]
    assert run_import([item(subscriptions=wanted), item("plant-2")]) == 0
    assert capsys.readouterr().out == "2 created, 0 changed, 0 already so.\n"
    assert stored(engine, "client_id") == ["{site}_{hostname}"] * 2
    with engine.connect() as transaction:
        found = transaction.execute(text("select topic_filter, qos from subscription order by id"))
        assert [tuple(row) for row in found] == [("a/#", 2), ("b", 1)]


def test_an_update_changes_only_the_given_fields(run_import: Import, engine: Engine) -> None:
    run_import([item(port=1884, username="u", subscriptions=[{"topic_filter": "a"}])])
    assert run_import([{"name": "plant-1", "is_enabled": False}]) == 0
    assert stored(engine, "port") == [1884]
    assert stored(engine, "username") == ["u"]
    assert stored(engine, "is_enabled") == [False]
    with engine.connect() as transaction:
        assert transaction.scalar(text("select count(*) from subscription")) == 1


def test_given_subscriptions_replace_the_set(run_import: Import, engine: Engine) -> None:
    run_import([item(subscriptions=[{"topic_filter": "a"}, {"topic_filter": "b"}])])
    run_import([{"name": "plant-1", "subscriptions": [{"topic_filter": "c", "qos": 0}]}])
    with engine.connect() as transaction:
        assert list(transaction.scalars(text("select topic_filter from subscription"))) == ["c"]


def test_importing_the_same_again_changes_nothing(
    run_import: Import, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    content = [item(username="u", subscriptions=[{"topic_filter": "a"}])]
    run_import(content)
    capsys.readouterr()
    run_import(content)
    assert capsys.readouterr().out == "0 created, 0 changed, 1 already so.\n"
    assert stored(engine, "revision") == [1]


@pytest.mark.parametrize("guess", [SECRET, "another"])
def test_a_file_with_a_secret_counts_as_a_change_whatever_the_secret_is(
    run_import: Import, engine: Engine, capsys: pytest.CaptureFixture[str], guess: str
) -> None:
    run_import([item(username="u", password=SECRET)])
    capsys.readouterr()
    run_import([item(username="u", password=guess)])
    assert capsys.readouterr().out == "0 created, 1 changed, 0 already so.\n"
    assert stored(engine, "revision") == [2]
    told = "select changes from audit_entry where action = 'connection.update'"
    with engine.connect() as transaction:
        found = transaction.scalars(text(told)).all()
    assert [each if isinstance(each, dict) else json.loads(each) for each in found] == [
        {"password": ["set", "changed"]}
    ]


def test_a_file_that_removes_a_secret_again_changes_nothing(
    run_import: Import, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    run_import([item(username="u", password=SECRET)])
    for _time in range(2):
        run_import([item(username="u", password=None, tls_client_key_pem="")])
    assert "0 created, 0 changed, 1 already so." in capsys.readouterr().out
    assert stored(engine, "revision") == [2]


def test_an_import_tells_the_worker(run_import: Import, engine: Engine) -> None:
    with engine.connect() as transaction:
        before = transaction.scalar(text("select version from config_version"))
    run_import([item()])
    with engine.connect() as transaction:
        assert transaction.scalar(text("select version from config_version")) > before


def test_secrets_go_in_encrypted_and_never_out(
    run_import: Import, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    run_import([item(username="u", password=SECRET)])
    assert SECRET not in str(stored(engine, "password"))
    assert portability.export_file("-") == 0
    out = capsys.readouterr().out
    assert SECRET not in out
    assert "password" not in json.loads(out[out.index("[") :])[0]


def test_an_export_is_an_import(run_import: Import, engine: Engine, tmp_path: Path) -> None:
    run_import([item(subscriptions=[{"topic_filter": "a", "qos": 0}]), item("plant-2", tls=True)])
    path = tmp_path / "export.json"
    assert portability.export_file(str(path)) == 0
    exported = json.loads(path.read_text())
    assert [entry["name"] for entry in exported] == ["plant-1", "plant-2"]
    rows.sql(engine, "delete from connection")
    assert run_import(exported) == 0
    portability.export_file(str(path))
    assert json.loads(path.read_text()) == exported


def test_garbage_written_by_sql_is_exported_as_it_is_and_can_be_corrected(
    run_import: Import, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    rows.record(engine, "bad")
    rows.record(engine, "other")
    rows.sql(engine, "update connection set client_id = '{nope', password = 'x' where name = 'bad'")
    if engine.dialect.name == "sqlite":
        rows.sql(engine, "update connection set port = 'abc', is_enabled = 7 where name = 'bad'")
        rows.sql(engine, "update connection set name = x'ff00' where name = 'other'")
    assert portability.export_file("-") == 0
    assert "{nope" in capsys.readouterr().out
    assert run_import([item("new")]) == 0
    cure = {"name": "bad", "client_id": "c", "port": 1, "is_enabled": True}
    # A secret that no key opens today may be opened by one tomorrow.
    assert run_import([cure]) == 1
    assert run_import([cure | {"password": None}]) == 0


@ONE_DATABASE
@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"port": 70000}, "port: Enter a whole number from 1 to 65535."),
        ({"port": "1883x"}, "port: Enter a whole number"),
        ({"port": "0x75b"}, "port: Enter a whole number"),
        ({"port": "\u0661\u0668\u0668\u0663"}, "port: Enter a whole number"),
        ({"port": "70000"}, "port: Enter a whole number"),
        ({"host": ""}, "host: Enter the broker's host name"),
        ({"host": None}, "host: "),
        ({"host": "::ffff:169.254.169.254"}, "host: Address 169.254.169.254 is that of a cloud"),
        ({"port": 22}, "port: Port 22 belongs to SSH"),
        ({"colour": "red"}, "colour: Unknown field."),
        ({"id": 7}, "id: Hawser sets this; leave it out."),
        ({"is_enabled": "yes"}, "is_enabled: Use true or false."),
        ({"protocol": "4"}, "protocol: Use one of"),
        ({"notes": 7}, "notes: Enter text."),
        ({"tls_ca_pem": "x"}, "tls_ca_pem: This is not a certificate"),
        ({"password": SECRET, "protocol": "3.1.1"}, "username: MQTT 3.1.1 carries no password"),
        ({"subscriptions": [{"topic_filter": "a/#/b"}]}, "subscriptions[0].topic_filter: "),
        ({"subscriptions": [{"topic_filter": "a", "qos": 3}]}, "subscriptions[0].qos: "),
        ({"subscriptions": [{"topic_filter": "a", "x": 1}]}, "subscriptions[0].x: Unknown"),
        ({"subscriptions": "a"}, "subscriptions: Write a list"),
        ({"subscriptions": ["a"]}, "subscriptions[0]: Write an object"),
    ],
)
def test_one_bad_item_stops_all_and_is_named(
    run_import: Import,
    engine: Engine,
    capsys: pytest.CaptureFixture[str],
    bad: dict[str, Any],
    words: str,
) -> None:
    assert run_import([item("good"), item("bad", **bad)]) == 1
    err = capsys.readouterr().err
    assert 'item 2 ("bad")' in err
    assert words in err
    assert "nothing was changed" in err
    assert SECRET not in err
    assert stored(engine, "name") == []


def test_every_bad_item_has_its_line(
    run_import: Import, capsys: pytest.CaptureFixture[str]
) -> None:
    run_import([item("a", port=0), 7, {"site": "no name"}, item("a")])
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith('hawser: item 1 ("a"), port: ')
    assert "hawser: item 2: Write an object: {...}." in lines
    assert any(line.startswith("hawser: item 3, name: ") for line in lines)
    assert 'hawser: item 4 ("a"), name: Item 1 has the same name.' in lines


@ONE_DATABASE
@pytest.mark.parametrize("content", ["", "{", '{"name": "x"}', "[" * 100_000, "[NaN]", "null"])
def test_a_file_that_is_no_list_is_one_sentence(
    run_import: Import, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    assert run_import(content) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_what_moves_a_terminal_is_written_by_its_escape(
    run_import: Import, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_import([item("a\x1b[2J\u202e\nhawser: all is well")]) == 1
    first = capsys.readouterr().err.splitlines()[0]
    assert 'item 1 ("a\\x1b[2J\\u202e\\nhawser: all is well"), name: ' in first


def test_an_import_is_signed_with_the_command_line(run_import: Import, engine: Engine) -> None:
    run_import([item()])
    with engine.connect() as transaction:
        (actor,) = transaction.scalars(text("select actor from audit_entry"))
    assert actor.startswith("command line (")


def test_a_missing_file_is_one_sentence(
    environment: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert portability.import_file("/nonexistent/file.json") == 1
    assert "No such file" in capsys.readouterr().err


def test_two_records_that_would_share_a_client_id_are_refused(
    run_import: Import, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_import([item("a", site="s"), item("b", site="s")]) == 1
    assert 'item 2 ("b"), client_id: Connection “a” already uses' in capsys.readouterr().err
    rows.record(engine, "there", site="s")
    assert run_import([item("a", site="s")]) == 1
    assert run_import([item("a", site="s", port=1884)]) == 0


def test_an_ipv6_address_in_brackets_is_imported_without_them(
    run_import: Import, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_import([item("a", site="s", host="[::1]")]) == 0
    assert stored(engine, "host") == ["::1"]
    assert run_import([item("a", site="s", host="[::1]")]) == 0
    assert "1 already so" in capsys.readouterr().out
    assert run_import([item("b", site="s", host="0:0::1")]) == 1
    assert "Connection “a” already uses" in capsys.readouterr().err


def test_records_that_swap_their_client_ids_in_one_file_are_accepted(
    run_import: Import, engine: Engine
) -> None:
    run_import([item("a", client_id="x"), item("b", client_id="y")])
    assert run_import([{"name": "a", "client_id": "y"}, {"name": "b", "client_id": "x"}]) == 0
    assert stored(engine, "client_id") == ["y", "x"]


def test_a_database_out_of_reach_is_one_sentence(
    environment: None,
    run_import: Import,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HAWSER_DATABASE_URL", "sqlite:////nonexistent/hawser.db")
    assert run_import([item()]) == 1
    assert "the database cannot be reached" in capsys.readouterr().err


def test_thousands_of_records_are_imported_within_seconds(engine: Engine) -> None:
    items = [
        item(f"c{n}", password="p", username="u", subscriptions=[{"topic_filter": f"t/{n}"}])
        for n in range(2000)
    ]
    # The time of this process: others may be busy on the machine.
    started = time.process_time()
    with immediate(engine).begin() as transaction:
        assert importing.apply(transaction, items, HOSTNAME) == (2000, 0, 0)
    assert time.process_time() - started < 4.0


@ONE_DATABASE
@pytest.mark.parametrize("value", [False, 0, [], {}, 0.0])
def test_a_certificate_that_is_no_text_is_refused_and_not_stored(
    run_import: Import, engine: Engine, capsys: pytest.CaptureFixture[str], value: Any
) -> None:
    for field in ("tls_ca_pem", "tls_client_cert_pem", "tls_client_key_pem"):
        assert run_import([item(**{field: value})]) == 1
        assert f"{field}: This is not a " in capsys.readouterr().err
    assert stored(engine, "name") == []


@ONE_DATABASE
@pytest.mark.parametrize(
    ("stream", "command", "name"),
    [
        ("stdin", portability.import_file, "standard input"),
        ("stdout", portability.export_file, "standard output"),
    ],
)
def test_a_closed_stream_is_told_in_a_sentence(
    environment: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stream: str,
    command: Callable[[str], int],
    name: str,
) -> None:
    # What Python makes of a descriptor that the shell closed with `<&-` or `>&-`.
    monkeypatch.setattr(sys, stream, None)
    assert command("-") == 1
    assert capsys.readouterr().err.startswith(f"hawser: {name} is closed; name a file to ")
