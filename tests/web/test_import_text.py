"""One reader for the page, a file and standard input, and files that other tools wrote."""

from __future__ import annotations

import codecs
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from tests.conftest import ENCRYPTION_KEY, HOSTNAME
from tests.web import rows
from tests.web.conftest import SECRET_KEY, Visitor
from webapp.connections import import_plan, portability, records, subscriptions

NAME = "Città di Esempio \u2013 €"
ITEM = {"name": NAME, "site": "s", "host": "broker.example", "is_enabled": False}
JSON = json.dumps([ITEM], ensure_ascii=False)
READABLE = {
    "plain": JSON.encode(),
    "with a mark": codecs.BOM_UTF8 + JSON.encode(),
    "with a mark and CRLF": codecs.BOM_UTF8 + JSON.replace(",", ",\r\n").encode(),
    "UTF-16": JSON.encode("utf-16"),
    "UTF-16 without a mark": JSON.encode("utf-16-le"),
    "UTF-16, the other way": codecs.BOM_UTF16_BE + JSON.encode("utf-16-be"),
    "UTF-32": JSON.encode("utf-32"),
}
UNREADABLE = {
    "Latin-9": JSON.replace("\u2013", "-").encode("iso8859-15"),
    "half a character": JSON.encode()[:-40] + b"\xe2\x82",
    "half of UTF-16": JSON.encode("utf-16")[:-1],
}
Import = Callable[[bytes], tuple[int, str]]


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """A file is read before any database is asked."""
    return sqlite_url


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, database_url: str, home: Path) -> None:
    """What the commands read their settings from."""
    values = {"HOME": str(home), "DATABASE_URL": database_url, "HOSTNAME": HOSTNAME}
    values |= {"ENCRYPTION_KEYS": ENCRYPTION_KEY, "SECRET_KEY": SECRET_KEY}
    for name, value in values.items():
        monkeypatch.setenv(f"HAWSER_{name}", value)


@pytest.fixture(params=["page", "file", "standard input"])
def run_import(
    request: pytest.FixtureRequest,
    environment: None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Import:
    """Give bytes to one of the ways in; return whether they were refused, and what was said."""

    def by_page(content: bytes) -> tuple[int, str]:
        visitor: Visitor = request.getfixturevalue("operator")
        page = visitor.post("/admin/connections/import", {"file": (io.BytesIO(content), "c")}).text
        return int("1 created" not in page), page

    def by_file(content: bytes) -> tuple[int, str]:
        path = tmp_path / "import.json"
        path.write_bytes(content)
        return portability.import_file(str(path)), "".join(capsys.readouterr())

    def by_standard_input(content: bytes) -> tuple[int, str]:
        # The encoding of a terminal says nothing about a file.
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), "ascii"))
        return portability.import_file("-"), "".join(capsys.readouterr())

    ways = {"page": by_page, "file": by_file, "standard input": by_standard_input}
    return ways[request.param]


def test_every_way_in_reads_the_same_texts(run_import: Import, engine: Engine) -> None:
    for name, content in READABLE.items():
        assert run_import(content)[0] == 0, name
        with engine.begin() as transaction:
            found = transaction.scalars(text("select name from connection")).all()
            assert found in ([NAME], []), name  # The page has only looked.
            transaction.execute(text("delete from connection"))


def test_every_way_in_refuses_other_texts_in_one_sentence(run_import: Import) -> None:
    for name, content in UNREADABLE.items():
        status, said = run_import(content)
        assert status == 1, name
        assert "his is not UTF-8 text (line 1). Save it as UTF-8." in said, name
        assert "Traceback" not in said


def test_an_export_to_standard_output_is_an_import_whatever_the_terminal_is(
    environment: None, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows.record(engine, NAME)
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, "ascii", write_through=True))
    assert portability.export_file("-") == 0
    assert json.loads(out.getvalue().decode())[0]["name"] == NAME
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(out.getvalue()), "ascii"))
    assert portability.import_file("-") == 0
    assert out.getvalue().endswith(b"0 created, 0 changed, 1 already so.\n")


# --- what other tools write


def _plans(engine: Engine, *items: Any) -> list[import_plan.Plan]:
    with engine.connect() as transaction:
        return import_plan.make(transaction, items, HOSTNAME)


def test_fields_of_another_tool_are_named_in_one_sentence_in_their_order(engine: Engine) -> None:
    strange = {"id": "6b1f", "clientId": "c", "clean": True, "protocol": "mqtts", "ssl": True}
    item = {**ITEM, **strange, "subscriptions": [{"id": "1", "topic": "a/#", "disabled": False}]}
    first, second = _plans(engine, item, {**item, "name": "b"})
    (names,) = first.problems
    assert names == (
        "clientId, clean, ssl, subscriptions[0].id, subscriptions[0].topic, "
        "subscriptions[0].disabled"
    )
    sentence = first.problems[names]
    assert sentence.startswith("Unknown fields. There are: name, site, host, port, ")
    for known in (*records.FIELDS, *subscriptions.FIELDS):
        assert known in sentence
    assert second.problems == {names: "Unknown fields."}


def test_a_file_of_nothing_but_strange_fields_is_told_briefly(engine: Engine) -> None:
    (plan,) = _plans(engine, {f"{number}{'x' * 1000}": 1 for number in range(10_000)})
    ((names, sentence),) = plan.problems.items()
    assert names.startswith("0xxx")
    assert names.endswith(", ...")
    assert len(names) + len(sentence) < 3000


def test_numbers_and_flags_as_text_are_taken(engine: Engine) -> None:
    item = ITEM | {"port": "8883", "tls": "true", "keepalive_s": " 30 ", "tls_verify": "False"}
    item |= {"subscriptions": [{"topic_filter": "a/#", "qos": "2", "is_enabled": "true"}]}
    (plan,) = _plans(engine, item)
    assert plan.problems == {}
    taken = {key: plan.given[key] for key in ("port", "tls", "keepalive_s", "tls_verify")}
    assert taken == {"port": 8883, "tls": True, "keepalive_s": 30, "tls_verify": False}
    (subscription,) = plan.subscriptions or []
    assert (subscription["qos"], subscription["is_enabled"]) == (2, True)


def test_a_text_that_is_no_number_or_flag_is_one_sentence(engine: Engine) -> None:
    (plan,) = _plans(engine, ITEM | {"port": "8883/tcp", "tls": "yes"})
    assert plan.problems == {
        "port": "Enter a whole number from 1 to 65535.",
        "tls": "Use true or false.",
    }


def test_a_name_of_digits_stays_a_text(engine: Engine) -> None:
    (plan,) = _plans(engine, ITEM | {"name": "88", "username": "1", "password": "12345678"})
    assert (plan.name, plan.given["password"], plan.problems) == ("88", "12345678", {})
