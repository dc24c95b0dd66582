"""Records in the browser: create, change, refuse, switch, delete."""

from __future__ import annotations

import re
from typing import Any

import pytest
from sqlalchemy import Engine, text
from werkzeug.test import TestResponse

from database.clock import database_now
from database.words import ConnectionState as S
from tests.support.certificates import Certificates
from tests.support.databases import ONE_DATABASE
from tests.web import rows
from tests.web.conftest import Visitor
from tests.web.forms import LIST, NEW, SECRET, errors, filters, form, one


def edit(visitor: Visitor, number: int, **values: Any) -> TestResponse:
    """Open the form of a record and send it with differences."""
    path = f"{LIST}edit/?id={number}"
    page = visitor.get(path).text
    revision = re.search(r'name="revision" value="([^"]*)"', page)
    assert revision
    return visitor.post(path, form(revision=revision[1]) | values)


def test_a_record_is_created_with_its_subscriptions(operator: Visitor, engine: Engine) -> None:
    version = one(engine, "select version from config_version")
    answer = operator.post(NEW, form() | filters("sensors/#", "alarm/+"), follow_redirects=True)
    assert "Connection “plant-1” was created." in answer.text
    assert one(engine, "select count(*) from subscription") == 2
    assert one(engine, "select version from config_version") > version


def test_a_duplicate_name_is_a_sentence_at_the_name(operator: Visitor, engine: Engine) -> None:
    rows.record(engine, "plant-1")
    assert "already has this name" in errors(operator.post(NEW, form()))["name"]


def test_two_records_with_one_client_id_on_one_broker_are_refused(
    operator: Visitor, engine: Engine
) -> None:
    rows.record(engine, "first", site="site_88", host="Broker.Example.")
    sentence = errors(operator.post(NEW, form()))["client_id"]
    assert "first" in sentence
    assert "site_88_bfg_back" in sentence
    assert operator.post(NEW, form(port="1884")).status_code == 302


@ONE_DATABASE
@pytest.mark.parametrize("there", ["::1", "0:0:0:0:0:0:0:1", "[::1]"])
def test_an_ipv6_address_is_one_host_in_every_spelling(
    operator: Visitor, engine: Engine, there: str
) -> None:
    rows.record(engine, "first", site="site_88", host=there)
    assert "first" in errors(operator.post(NEW, form(host="[::1]")))["client_id"]


def test_brackets_around_an_ipv6_address_are_left_out(operator: Visitor, engine: Engine) -> None:
    assert operator.post(NEW, form(host=" [2001:DB8::1] ")).status_code == 302
    assert one(engine, "select host from connection") == "2001:DB8::1"
    number = one(engine, "select id from connection")
    assert edit(operator, number, host="[2001:DB8::1]").status_code == 302
    assert one(engine, "select revision from connection") == 1


@ONE_DATABASE
@pytest.mark.parametrize("host", ["[::1]:1883", "[::1", "::1]", "[127.0.0.1]", "[broker.example]"])
def test_other_brackets_are_refused_at_the_host(operator: Visitor, host: str) -> None:
    assert "without a port" in errors(operator.post(NEW, form(host=host)))["host"]


def test_an_edit_changes_the_record_and_its_revision(operator: Visitor, engine: Engine) -> None:
    operator.post(NEW, form() | filters("a", "b"))
    number = one(engine, "select id from connection")
    assert edit(operator, number, host="other.example", **filters("b", "c")).status_code == 302
    assert one(engine, "select host from connection") == "other.example"
    assert one(engine, "select revision from connection") == 2
    with engine.connect() as transaction:
        found = transaction.scalars(text("select topic_filter from subscription order by id")).all()
    assert found == ["b", "c"]


def test_an_edit_of_a_record_that_changed_meanwhile_is_refused_with_a_message(
    operator: Visitor, engine: Engine
) -> None:
    operator.post(NEW, form())
    number = one(engine, "select id from connection")
    rows.sql(engine, "update connection set revision = 9, site = 'theirs'")
    answer = operator.post(f"{LIST}edit/?id={number}", form(revision="1", site="mine"))
    assert answer.status_code == 200
    assert "Somebody else changed this record" in answer.text
    assert one(engine, "select site from connection") == "theirs"


@ONE_DATABASE
@pytest.mark.parametrize(
    "left_out",
    [
        ("revision",),
        ("keep_messages_mb",),
        ("notes", "tls_verify"),
        ("tls_ca_pem", "subscriptions-0-topic_filter"),
        ("subscriptions-1-qos", "subscriptions-1-is_enabled"),
        "all",
    ],
)
def test_an_edit_of_which_a_part_is_missing_is_refused_and_changes_nothing(
    operator: Visitor, engine: Engine, left_out: tuple[str, ...] | str
) -> None:
    operator.post(NEW, form(tls="y") | filters("a", "b"))
    path = f"{LIST}edit/?id={one(engine, 'select id from connection')}"
    before = whole(engine)
    fields = form(revision="1", tls="y", host="typed.example") | filters("a", "b")
    if left_out == "all":
        fields = {}
    for name in left_out:
        fields.pop(name, None)
    answer = operator.post(path, fields)
    assert answer.status_code == 200
    assert "A part of this form did not arrive" in answer.text
    assert "typed.example" in answer.text or not fields
    assert whole(engine) == before
    # Nor is what came back taken: its boxes are off.
    assert 'name="revision" value=""' in answer.text
    token = operator.token()
    # Not even the token comes as a field.
    nothing = operator.client.post(path, headers={"X-CSRFToken": token})
    assert "A part of this form did not arrive" in nothing.text
    assert whole(engine) == before


def whole(engine: Engine) -> list[Any]:
    """Return all that is stored of connections and subscriptions."""
    with engine.connect() as transaction:
        return [
            tuple(row)
            for table in ("connection", "subscription")
            for row in transaction.execute(text(f"select * from {table} order by id"))
        ]


def stored_password(engine: Engine) -> str | None:
    found: str | None = one(engine, "select password from connection")
    return found


def test_a_password_is_encrypted_kept_when_blank_and_removed_when_asked(
    operator: Visitor, engine: Engine
) -> None:
    operator.post(NEW, form(username="u", password=SECRET))
    number = one(engine, "select id from connection")
    first = stored_password(engine)
    assert first
    assert SECRET not in first
    edit(operator, number, username="u")
    assert stored_password(engine) == first
    edit(operator, number, username="u", password="another")
    assert stored_password(engine) not in (first, None)
    edit(operator, number, username="u", clear_password="y")
    assert stored_password(engine) is None


def test_no_page_ever_shows_a_secret(
    operator: Visitor, engine: Engine, certificates: Certificates
) -> None:
    rows.heartbeat(engine)
    client = certificates.client
    key = client.key.read_text()
    values = {
        "username": "u",
        "password": SECRET,
        "tls": "y",
        "tls_client_cert_pem": client.certificate.read_text(),
        "tls_client_key_pem": key,
    }
    refused = operator.post(NEW, form(port="70000", **values))
    assert operator.post(NEW, form(**values)).status_code == 302
    number = one(engine, "select id from connection")
    pages = [
        LIST,
        f"{LIST}edit/?id={number}",
        f"{LIST}details/?id={number}",
        "/admin/",
        "/admin/live",
        f"/admin/live?show=details&ids={number}",
        "/api/v1/mqtt/health/",
    ]
    body = key.splitlines()[2]
    for answer in (refused, *map(operator.get, pages)):
        assert SECRET not in answer.text
        assert body not in answer.text


def test_a_client_certificate_must_fit_the_stored_key(
    operator: Visitor, engine: Engine, certificates: Certificates
) -> None:
    client = certificates.client
    values = {
        "tls_client_cert_pem": client.certificate.read_text(),
        "tls_client_key_pem": client.key.read_text(),
    }
    assert operator.post(NEW, form(**values)).status_code == 302
    number = one(engine, "select id from connection")
    kept = {"tls_client_cert_pem": client.certificate.read_text()}
    assert edit(operator, number, **kept).status_code == 302
    other = {"tls_client_cert_pem": certificates.ca.certificate.read_text()}
    assert "does not belong" in errors(edit(operator, number, **other))["tls_client_key_pem"]


@pytest.mark.parametrize(("name", "enabled"), [("enable", True), ("disable", False)])
def test_rows_are_switched_together_and_the_worker_is_told(
    operator: Visitor, engine: Engine, name: str, enabled: bool
) -> None:
    ids = [rows.record(engine, f"c{n}", is_enabled=not enabled) for n in range(3)]
    version = one(engine, "select version from config_version")
    data = {"action": name, "rowid": ids[:2]}
    answer = operator.post(LIST + "action/", data, follow_redirects=True)
    assert f"2 connections {name}d: “c0”, “c1”." in answer.text
    with engine.connect() as transaction:
        found = transaction.execute(
            text("select is_enabled, revision from connection order by id")
        ).all()
    assert [tuple(row) for row in found] == [(enabled, 2), (enabled, 2), (not enabled, 1)]
    assert one(engine, "select version from config_version") > version


def test_a_record_is_deleted_with_its_subscriptions(operator: Visitor, engine: Engine) -> None:
    operator.post(NEW, form() | filters("a"))
    number = one(engine, "select id from connection")
    answer = operator.post(LIST + "delete/", {"id": number}, follow_redirects=True)
    assert "Deleted: “plant-1”." in answer.text
    assert one(engine, "select count(*) from connection") == 0
    assert one(engine, "select count(*) from subscription") == 0


@pytest.mark.parametrize("path", ["edit/", "details/"])
@pytest.mark.parametrize("number", ["999", "abc", "-1", "", "9" * 30, "\u0661"])
def test_a_record_that_does_not_exist_is_404(operator: Visitor, path: str, number: str) -> None:
    assert operator.get(f"{LIST}{path}?id={number}").status_code == 404


def test_an_action_on_nothing_says_so(operator: Visitor) -> None:
    answer = operator.post(LIST + "action/", {"action": "enable"}, follow_redirects=True)
    assert "Select at least one connection first." in answer.text


def test_a_name_with_markup_is_shown_as_text(operator: Visitor, worker: Engine) -> None:
    name = "<img src=x onerror=alert(1)>"
    rows.status(worker, rows.record(worker, name), S.REFUSED, reason_code="<b>bold</b>")
    for path in (LIST, "/admin/", "/admin/live"):
        answer = operator.get(path).text
        assert "<img src=x" not in answer
        assert "<b>" not in answer


def test_search_and_chips_choose_rows(operator: Visitor, worker: Engine) -> None:
    rows.status(worker, rows.record(worker, "north", site="alpha"))
    rows.status(worker, rows.record(worker, "south", site="beta"), S.REFUSED)
    rows.record(worker, "idle", is_enabled=False)

    def shown(query: str) -> list[str]:
        found: list[str] = re.findall(r"Select (\w+)", operator.get(LIST + query).text)
        return [name for name in found if name != "all"]

    assert shown("") == ["south", "north", "idle"]
    assert shown("?search=ALPHA") == ["north"]
    assert shown("?show=failing") == ["south"]
    assert shown("?show=disabled") == ["idle"]
    assert shown("?sort=1") == ["idle", "north", "south"]
    assert shown("?sort=1&desc=1") == ["south", "north", "idle"]


def test_a_long_list_offers_other_page_sizes(operator: Visitor, worker: Engine) -> None:
    for number in range(21):
        rows.record(worker, f"plant-{number}")
    sizes = operator.get(LIST).text.partition("Rows a page:")[2].partition("</p>")[0]
    assert re.findall(r">(\d+)</a>", sizes) == ["20", "50", "100", "200"]


@pytest.mark.parametrize(
    "query", ["?page=-1", "?page=99999999999999999999", "?sort=99", "?sort=-7"]
)
def test_a_strange_address_is_still_a_page(operator: Visitor, worker: Engine, query: str) -> None:
    for page in (LIST, "/admin/events/", "/admin/messages/", "/admin/workers/"):
        assert operator.get(page + query).status_code == 200


def test_garbage_written_by_sql_never_breaks_a_page(operator: Visitor, worker: Engine) -> None:
    number = rows.record(worker, "bad", updated_at=database_now(-60.0))
    rows.sql(worker, "update connection set protocol = 'xyz', client_id = '{nope', host = ''")
    rows.sql(worker, "update connection set password = 'no token', tls_ca_pem = 'x'")
    if worker.dialect.name == "sqlite":
        rows.sql(
            worker,
            "update connection set port = 'abc', is_enabled = 7, revision = 'r', "
            "status_qos = 'q', created_at = 'never', updated_at = 'never', name = x'ff00'",
        )
    rows.sql(
        worker,
        "insert into subscription (connection_id, topic_filter, qos) values (:n, 'a/#/b', 9)",
        n=number,
    )
    rows.record(worker, "second", client_id="x" * 70_000, is_enabled=False)
    pages = (
        LIST,
        LIST + "?search=zzz",
        f"{LIST}details/?id={number}",
        f"{LIST}edit/?id={number}",
        "/admin/",
        "/admin/live",
        f"/admin/live?show=rows&ids={number}",
        f"/admin/live?show=details&ids={number}",
    )
    for page in pages:
        assert operator.get(page).status_code == 200, page
    assert operator.get("/api/v1/mqtt/health/").status_code == 503
    assert edit(operator, number, password="x", username="u").status_code == 302
    ids = re.findall(r'name="rowid" value="(\d+)" aria', operator.get(LIST).text)
    assert len(ids) == 2
    answer = operator.post(LIST + "action/", {"action": "delete", "rowid": ids})
    assert answer.status_code == 302
    assert one(worker, "select count(*) from connection") == 0
