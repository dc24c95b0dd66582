"""A file of connections in the browser: looked at first, applied once, secrets never shown."""

from __future__ import annotations

import io
import json
import re
import time
from typing import Any

import pytest
from sqlalchemy import Engine
from werkzeug.test import TestResponse

from tests.support.certificates import Certificates
from tests.support.databases import ONE_DATABASE
from tests.web import rows
from tests.web.conftest import Visitor, signed_in
from tests.web.forms import LIST, SECRET, one
from webapp.connections.importing import MOST_OBJECTS
from webapp.connections.uploads import MOST, Uploads

PAGE = LIST + "import"
EXPORT = LIST + "export.json"


def item(name: str, **values: Any) -> dict[str, Any]:
    return {"name": name, "site": f"site-{name}", "host": "broker.example"} | values


def look(visitor: Visitor, content: Any) -> TestResponse:
    """Send a file, given as JSON or as bytes."""
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return visitor.post(PAGE, {"file": (io.BytesIO(data), "c.json")})


def token(answer: TestResponse) -> str:
    found = re.search(r'name="token" value="([^"]+)"', answer.text)
    assert found
    return found[1]


def test_a_file_is_looked_at_first_and_applied_when_that_is_confirmed(
    operator: Visitor, engine: Engine
) -> None:
    rows.record(engine, "there", username="u")
    rows.record(engine, "same")
    wanted = [{"topic_filter": "a/#"}]
    change = {"name": "there", "port": 1884, "password": SECRET, "subscriptions": wanted}
    page = look(operator, [item("new"), change, {"name": "same", "port": 1883}])
    assert page.status_code == 200
    assert "1 created, 1 changed, 1 already so." in page.text
    assert "<del>1883</del>" in page.text
    assert "<ins>1884</ins>" in page.text
    assert SECRET not in page.text
    assert one(engine, "select count(*) from connection") == 2
    done = operator.post(PAGE, {"token": token(page)}, follow_redirects=True)
    assert "Imported: 1 created, 1 changed, 1 already so." in done.text
    assert one(engine, "select port from connection where name = 'there'") == 1884
    assert one(engine, "select count(*) from audit_entry") == 2
    again = operator.post(PAGE, {"token": token(page)})
    assert "choose it again" in again.text


@pytest.mark.parametrize("secret", ["password", "tls_client_key_pem"])
def test_the_preview_does_not_tell_whether_a_secret_was_guessed(
    operator: Visitor, engine: Engine, certificates: Certificates, secret: str
) -> None:
    client = certificates.client
    stored = {"password": SECRET, "tls_client_key_pem": client.key_pem}
    login = {"username": "u", "tls_client_cert_pem": client.certificate_pem}
    looked = look(operator, [item("there", **login, **stored)])
    operator.post(PAGE, {"token": token(looked)})
    guesses = [stored[secret], "another" if secret == "password" else client.key_pem + "\n"]
    pages = [look(operator, [{"name": "there", secret: guess}]).text for guess in guesses]
    shown = [page.partition("preview-heading")[2].partition('name="csrf_token"') for page in pages]
    assert "0 created, 1 changed, 0 already so." in shown[0][0]
    assert shown[0][0] == shown[1][0]
    lists = [page.partition("<h3>")[2].partition("<form")[0] for page in pages]
    assert lists[0] == lists[1]
    assert "<ins>changed</ins>" in lists[0]


def test_what_is_wrong_is_told_by_item_and_field_and_nothing_can_be_confirmed(
    operator: Visitor, engine: Engine
) -> None:
    hostile = "<script>alert(1)</script>\u202e"
    page = look(operator, [item("good"), item(hostile, port=0, **{hostile: 1}), 7])
    assert "Enter a whole number from 1 to 65535." in page.text
    assert "Write an object: {...}." in page.text
    assert "<script>alert" not in page.text
    assert "\u202e" not in page.text
    assert 'name="token"' not in page.text
    assert one(engine, "select count(*) from connection") == 0


@ONE_DATABASE
@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"{}", b"\xff\xfe", b"[" * 100_000, b'["\\ud800"]', b"[" + b"9" * 5_000 + b"]"],
)
def test_a_file_that_cannot_be_read_is_one_sentence(operator: Visitor, content: bytes) -> None:
    page = look(operator, content)
    assert page.status_code == 200
    assert 'role="alert"' in page.text


@ONE_DATABASE
@pytest.mark.parametrize("one_of_many", ["[{},{}]", '[{"subscriptions":[1,{}]}]'])
def test_what_is_small_in_a_file_and_large_in_memory_is_not_looked_at(
    operator: Visitor, one_of_many: str
) -> None:
    many = one_of_many.replace("{}", "{}," * MOST_OBJECTS + "{}", 1)
    assert "at most 50,000 records and subscriptions" in look(operator, many.encode()).text


def test_an_export_can_be_imported_again_and_holds_no_secret(
    operator: Visitor, viewer: Visitor, engine: Engine
) -> None:
    operator.post(
        PAGE, {"token": token(look(operator, [item("a", username="u", password=SECRET)]))}
    )
    answer = viewer.get(EXPORT)
    assert answer.mimetype == "application/json"
    assert SECRET not in answer.text
    assert "0 created, 0 changed, 1 already so." in look(operator, answer.data).text


def test_who_may_not_edit_imports_nothing(
    operator: Visitor, viewer: Visitor, anonymous: Visitor, engine: Engine
) -> None:
    kept = token(look(operator, [item("a")]))
    other = signed_in(operator.client.application, "operator")
    assert viewer.get(PAGE).status_code == 403
    assert viewer.post(PAGE, {"token": kept}).status_code == 403
    assert anonymous.get(EXPORT).status_code == 302
    assert operator.client.post(PAGE, data={"token": kept}).status_code == 400
    assert "choose it again" in other.post(PAGE, {"token": kept}).text
    assert one(engine, "select count(*) from connection") == 0


@pytest.mark.parametrize(
    "meanwhile",
    [
        "update connection set port = 9, revision = revision + 1 where name = 'there'",
        "delete from connection where name = 'there'",
        "update connection set name = 'new' where name = 'else'",
    ],
)
def test_what_was_not_shown_is_shown_first(
    operator: Visitor, engine: Engine, meanwhile: str
) -> None:
    rows.record(engine, "there")
    rows.record(engine, "else")
    looked = look(operator, [item("new"), {"name": "there", "site": "s", "host": "broker.example"}])
    rows.sql(engine, meanwhile)
    again = operator.post(PAGE, {"token": token(looked)})
    assert "Connections have changed since you looked, so nothing was imported" in again.text
    assert one(engine, "select count(*) from audit_entry") == 0
    assert operator.post(PAGE, {"token": token(again)}).status_code == 302
    assert one(engine, "select count(*) from audit_entry") == 2


def test_thousands_take_seconds_and_a_page_that_stays_small(
    operator: Visitor, engine: Engine
) -> None:
    items = [item(f"c{n}", subscriptions=[{"topic_filter": f"t/{n}"}]) for n in range(1_000)]
    started = time.process_time()
    for expected in ("1,000 created, 0 changed", "0 created, 1,000 changed"):
        page = look(operator, items)
        assert expected in page.text
        assert len(page.text) < 300_000
        operator.post(PAGE, {"token": token(page)})
        items = [{"name": each["name"], "port": 1884} for each in items]
    assert time.process_time() - started < 8.0
    assert one(engine, "select count(*) from audit_entry") == 2_000


def test_files_wait_in_memory_encrypted_for_their_owner_and_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    uploads = Uploads()
    first = uploads.keep("ann", SECRET)
    assert SECRET not in str(uploads._kept)
    assert uploads.take("bob", first) is None
    assert uploads.take("ann", first) == SECRET
    of_bob = uploads.keep("bob", "y")
    tokens = [uploads.keep("ann", "x") for _ in range(MOST + 1)]
    assert uploads.take("ann", tokens[0]) is None
    assert uploads.take("bob", of_bob) == "y"
    many = [uploads.keep(f"user {number}", "x") for number in range(MOST + 1)]
    assert uploads.take("user 0", many[0]) is None
    monkeypatch.setattr("webapp.connections.uploads.LASTS", -1.0)
    assert uploads.take("ann", uploads.keep("ann", "x")) is None
