"""The audit log: every change is in it, no secret is, and administrators can read it."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, insert, select
from sqlalchemy import text as sql_text

from database.clock import database_now
from database.models import audit_entry
from database.session import immediate
from tests.web import rows
from tests.web.conftest import Visitor, signed_in
from tests.web.forms import LIST, NEW, SECRET, filters, form, one
from tests.web.publications import SEND
from tests.web.publications import form as message
from webapp.auditing import audit, changes
from webapp.connections import importing, records

PAGE = "/admin/audit/"
HOSTILE = "<script>alert(1)</script>\u202e{{7*7}}%(x)s"


@pytest.fixture
def admin(app: Flask) -> Visitor:
    return signed_in(app, "admin")


def entries(engine: Engine) -> list[Any]:
    with engine.connect() as transaction:
        return list(transaction.execute(select(audit_entry).order_by(audit_entry.c.id)))


def write(engine: Engine, **values: Any) -> None:
    row = {"actor": "ann@hawser.example", "action": "connection.update", "at": database_now()}
    row |= {"subject_kind": "connection", "changes": {}}
    with engine.begin() as transaction:
        transaction.execute(insert(audit_entry).values(row | values))


def revision(engine: Engine) -> str:
    return str(one(engine, "select revision from connection"))


def test_a_record_leaves_an_entry_for_all_that_happens_to_it(
    operator: Visitor, engine: Engine
) -> None:
    secrets = {"username": "u", "password": SECRET}
    operator.post(NEW, form(**secrets) | filters("a/#"))
    number = one(engine, "select id from connection")
    edit = f"{LIST}edit/?id={number}"
    operator.post(edit, form(revision="1", port="1884", **secrets) | filters("a/#", qos="2"))
    operator.post(edit, form(revision="2", port="1884", clear_password="y"))
    for action in ("disable", "disable", "enable", "delete"):
        operator.post(LIST + "action/", {"action": action, "rowid": number})
    found = entries(engine)
    assert [entry.action.partition(".")[2] for entry in found] == [
        *("create", "update", "update", "disable", "enable", "delete")
    ]
    assert {entry.subject_name for entry in found} == {"plant-1"}
    assert {entry.subject_id for entry in found} == {number}
    assert {entry.address for entry in found} == {"127.0.0.1"}
    assert all(entry.actor.startswith("operator-") for entry in found)
    created, edited, cleared, disabled, _, deleted = [entry.changes for entry in found]
    topic = {"topic_filter": "a/#", "qos": 1, "is_enabled": True, "expected_every_s": 0}
    assert created["host"] == [None, "broker.example"]
    assert created["password"] == [None, "set"]
    assert created["subscriptions"] == [[], [topic]]
    assert edited == {
        "port": [1883, 1884],
        "password": ["set", "changed"],
        "subscriptions": [[topic], [topic | {"qos": 2}]],
    }
    assert cleared["password"] == ["set", "removed"]
    assert cleared["username"] == ["u", None]
    assert disabled == {"is_enabled": [True, False]}
    assert deleted["host"] == ["broker.example", None]
    assert SECRET not in str(found)


def test_a_save_that_changes_nothing_writes_nothing(operator: Visitor, engine: Engine) -> None:
    fields = form(username="u") | filters("a")
    operator.post(NEW, fields | {"password": SECRET})
    number = one(engine, "select id from connection")
    assert operator.post(f"{LIST}edit/?id={number}", fields | {"revision": "1"}).status_code == 302
    assert revision(engine) == "1"
    assert len(entries(engine)) == 1


@pytest.mark.parametrize("entered", [SECRET, "another", "changed", "removed", "set"])
def test_no_save_tells_whether_a_secret_was_the_stored_one(
    operator: Visitor, engine: Engine, entered: str
) -> None:
    operator.post(NEW, form(username="u", password=SECRET))
    number = one(engine, "select id from connection")
    fields = form(username="u", password=entered, revision="1")
    assert operator.post(f"{LIST}edit/?id={number}", fields).status_code == 302
    assert revision(engine) == "2"
    assert entries(engine)[-1].changes == {"password": ["set", "changed"]}


def test_what_is_refused_or_fails_leaves_no_entry(operator: Visitor, engine: Engine) -> None:
    operator.post(NEW, form(port="0"))
    operator.post(NEW, form())
    edit = f"{LIST}edit/?id={one(engine, 'select id from connection')}"
    operator.post(edit, form(revision="7", port="1884"))
    with immediate(engine).connect() as transaction:
        records.remove(transaction, [1])
        transaction.rollback()
    assert [entry.action for entry in entries(engine)] == ["connection.create"]


def test_many_at_once_leave_an_entry_each(operator: Visitor, engine: Engine) -> None:
    items = [{"name": f"c{n}", "site": f"s{n}", "host": "broker.example"} for n in range(1_200)]
    with immediate(engine).begin() as transaction:
        importing.apply(transaction, items, "host")
        ids = list(transaction.scalars(sql_text("select id from connection order by id")))
        assert records.enable(transaction, ids, enabled=False) == 1_200
        assert records.remove(transaction, ids) == 1_200
    found = entries(engine)
    assert len(found) == 3_600
    assert {entry.actor.partition(" (")[0] for entry in found} == {audit.COMMAND_LINE}
    assert {(e.subject_id, e.subject_name) for e in found[:1_200]} == {
        (e.subject_id, e.subject_name) for e in found[2_400:]
    }


def test_commands_are_noted_and_no_payload_is(operator: Visitor, worker: Engine) -> None:
    number = rows.record(worker)
    operator.post(LIST + "command/", {"id": number, "kind": "reconnect"})
    operator.post(
        LIST + "test", form(password=SECRET, username="u", name="draft", host="elsewhere.example")
    )
    operator.post(SEND, message(number, payload=SECRET))
    operator.post(SEND, message(number, payload=SECRET))
    asked, tested, sent = entries(worker)
    assert (asked.action, asked.subject_id, asked.subject_name) == (
        *("command.reconnect", number, "plant-1"),
    )
    assert (tested.action, tested.subject_id) == ("command.test", None)
    assert tested.changes["host"] == [None, "elsewhere.example"]
    assert sent.changes == {
        "topic": [None, "plant/hello"],
        "bytes": [None, len(SECRET)],
        "qos": [None, 1],
        "retain": [None, False],
    }
    assert SECRET not in str(entries(worker))


def test_what_no_database_takes_is_written_down_all_the_same(engine: Engine) -> None:
    told = {
        "a\x00b": (b"\xff", "\ud800\x00"),
        "long": ("x" * 501, float("nan")),
        "password": (SECRET, SECRET + "2"),
        "list": (None, list(range(101))),
    }
    with engine.begin() as transaction:
        audit.note(transaction, "x.y", kind="x", name="n\x00", changes=told, actor="\ud800\x00")
    (entry,) = entries(engine)
    assert (entry.actor, entry.subject_name) == ("\\ud800\\x00", "n\\x00")
    assert entry.changes["a\\x00b"] == ["\\xff", "\\ud800\\x00"]
    assert entry.changes["long"] == [{"cut": "x" * 500, "length": 501}, "nan"]
    assert entry.changes["password"] == ["set", "changed"]
    assert entry.changes["list"][1][-1] == {"cut": "", "length": 101}


def test_the_page_tells_who_did_what_from_which_to_which(
    admin: Visitor, operator: Visitor, engine: Engine
) -> None:
    operator.post(NEW, form(username="u", password=SECRET) | filters("a/#"))
    number = one(engine, "select id from connection")
    operator.post(f"{LIST}edit/?id={number}", form(revision="1", username="u", notes="n" * 600))
    page = re.sub(r"<[^>]+>|\s+", " ", admin.get(PAGE).text)
    page = re.sub(r" +", " ", page)
    assert re.search(r"operator-\w+@hawser.example from 127.0.0.1 changed the connection", page)
    assert f"Notes none → became {'n' * 500}… (600 characters)" in page
    assert "Topic Filter a/# QoS 1 " in page
    assert "Password set " in page
    assert SECRET not in page
    assert f'href="{LIST}details/?id={number}"' in admin.get(PAGE).text


def test_filters_narrow_the_page_and_the_export_alike(admin: Visitor, engine: Engine) -> None:
    number = rows.record(engine)
    write(engine, subject_id=number, subject_name="plant-1", changes={"host": ["ä", "b"]})
    write(engine, actor="bob", action="connection.delete", subject_id=7, subject_name="gone_%")
    write(engine, actor="bobby", action="odd.thing", subject_kind="account", subject_id=number)
    write(engine, actor="old", at=database_now(-90_000))
    asked = {
        "who=bob": [2],
        "who=bo": [2, 3],
        "who=nobody": [],
        "action=connection.delete": [2],
        "action=odd.thing": [3],
        f"connection={number}": [1],
        "name=E_%25": [2],
        "text=ä": [1],
        "text=plant": [1],
        "span=24h": [1, 2, 3],
        "span=365d&who=old": [4],
        "who=%00&span=x&connection=x": [1, 2, 3, 4],
    }
    for query, ids in asked.items():
        page = admin.get(f"{PAGE}?{query}")
        assert page.status_code == 200
        lines = admin.get(f"{PAGE}export?format=jsonl&{query}").text.splitlines()
        assert sorted(json.loads(line)["id"] for line in lines) == ids, query
        assert page.text.count('class="differences"') == len(ids), query


def test_pages_go_on_where_the_last_one_ended(admin: Visitor, engine: Engine) -> None:
    with engine.begin() as transaction:
        subjects = [audit.Subject(n, f"c{n}") for n in range(120)]
        audit.note_all(transaction, "connection.update", "connection", subjects)
    seen: list[str] = []
    address = PAGE
    while address:
        page = admin.get(address).text
        seen += re.findall(r"<strong>(c\d+)</strong>", page)
        found = re.search(r'href="([^"]+)" rel="next"', page)
        address = found[1].replace("&amp;", "&") if found else ""
    assert seen == [f"c{n}" for n in reversed(range(120))]


def test_a_search_without_an_index_says_how_far_it_came(
    admin: Visitor, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.auditing.audit_log.SEARCHED", 2)
    for name in ("first", "b", "c", "d"):
        write(engine, subject_name=name)
    page = admin.get(f"{PAGE}?name=first").text
    assert "there are older ones" in page
    assert "first</strong>" in admin.get(f"{PAGE}?name=first&before=3").text


def test_hostile_entries_are_shown_harmless_and_exported_safely(
    admin: Visitor, engine: Engine
) -> None:
    told = {HOSTILE: ["=cmd|' /C calc'!A0", HOSTILE], "password": ["a", SECRET], "odd": 7}
    told |= {"subscriptions": [7, [{"topic_filter": HOSTILE, "qos": HOSTILE}, 3]]}
    hostile = {"actor": "=" + HOSTILE, "address": HOSTILE, "subject_name": "@" + HOSTILE}
    write(engine, **hostile, changes=told)
    write(engine, **hostile, action="%s" + HOSTILE, subject_kind=HOSTILE)
    write(engine, changes=[1, 2])
    page = admin.get(f"{PAGE}?action=%3Cscript%3Ealert(1)").text + admin.get(PAGE).text
    assert "<script>alert" not in page
    assert "\u202e" not in page
    assert "\\u202e" in page
    assert SECRET not in page
    table = list(
        csv.reader(io.StringIO(admin.get(f"{PAGE}export?format=csv").data.decode("utf-8-sig")))
    )
    assert len(table) == 4
    for cell in (cell for row in table for cell in row):
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))


def test_only_administrators_read_the_log(
    operator: Visitor, viewer: Visitor, anonymous: Visitor, engine: Engine
) -> None:
    for path in (PAGE, PAGE + "export"):
        assert operator.get(path).status_code == viewer.get(path).status_code == 403
        assert anonymous.get(path).status_code == 302


def test_an_export_from_a_broken_database_is_an_error_page(admin: Visitor, engine: Engine) -> None:
    rows.sql(engine, "drop table audit_entry")
    answer = admin.get(PAGE + "export?format=jsonl")
    assert answer.status_code == 503
    assert "audit_entry" not in answer.text


def test_entries_go_when_they_are_too_old_and_never_with_zero_days(
    app: Flask, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "PORTION", 2)
    for _ in range(3):
        write(engine, at=database_now(-731 * 86_400.0))
    write(engine, at=database_now(-729 * 86_400.0))
    monkeypatch.setattr("webapp.auditing.audit._Clock.next_at", 0.0)
    with app.app_context():
        for left in (3, 3, 4):
            with engine.begin() as transaction:
                audit.note(transaction, "x.y", kind="x")
            assert len(entries(engine)) == left
    audit.tidy(engine, 0)
    assert len(entries(engine)) == 4
    audit.tidy(engine, 1)
    assert len(entries(engine)) == 3


def test_secrets_are_told_by_words_alone() -> None:
    told = changes.told({"password": ("a", "a2"), "tls_client_key_pem": ("k", None)})
    assert told == {"password": ["set", "changed"], "tls_client_key_pem": ["set", "removed"]}
