"""Every text of every page goes through gettext: shown by a language of brackets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine

from database.words import CommandState, ConnectionState
from tests.web import messages, pseudo, publications, rows
from tests.web.conftest import Visitor, signed_in
from tests.web.forms import NEW, form
from tests.worker.service.worker import ONE_DATABASE


@pytest.fixture
def installation(worker: Engine) -> Engine:
    """Rows in every table, in Greek: whatever is Latin on a page is a word of ours."""
    rows.sql(worker, "UPDATE worker_heartbeat SET hostname = 'μ'")
    greek = {"site": "Σ", "host": "10.0.0.7", "username": "ψ", "client_id": "χ"}
    greek |= {"status_topic": "τ/δ", "online_payload": "1", "offline_payload": "0", "notes": "λ"}
    states = list(ConnectionState)[:-1]
    for number, state in enumerate(states, 1):
        rows.record(worker, f"Ω{number}", is_enabled=state != "disabled", **greek)
        rows.status(worker, number, state, **_why(state))
        rows.event(worker, number, state, **_why(state))
        rows.traffic(worker, number, messages_in=3, bytes_in=40)
    rows.subscription(worker, 1, "τ/+", 60, messages_in=3, quiet_since=None)
    rows.subscription(worker, 3, "τ/+", 60, messages_in=3, quiet_since=_long_ago())
    messages.message(worker, "τ/1", b"21.5", connection_id=3, retain=True, dup=True)
    messages.message(worker, "τ/1", b"\xff\x00", connection_id=3, properties={"content_type": "θ"})
    messages.dead_letter(worker, "τ/1".encode(), "Π")
    publications.publish(worker, 3, topic="τ", payload=b"1")
    done = rows.command(worker, "test")
    rows.result(worker, done, CommandState.FAILED, result=rows.failed_test("10.0.0.7"))
    return worker


def _why(state: ConnectionState) -> dict[str, Any]:
    code = {
        ConnectionState.BACKOFF: "tcp_refused",
        ConnectionState.COOLDOWN: "duplicate_client_id",
        ConnectionState.REFUSED: "not_authorized",
        ConnectionState.CONFIG_ERROR: "config_error",
        ConnectionState.DEGRADED: "subscription_quiet",
    }.get(state, "success")
    detail = {"host": "10.0.0.7", "port": 1883, "client_id": "χ", "sessions": 3, "window": 120}
    detail |= {"topic_filter": "τ/+", "every": 60, "field": "port", "problem": "Enter text."}
    return {"reason_code": code, "detail": detail, "raw_code": 0x8E}


def _long_ago() -> Any:
    from database.clock import database_now

    return database_now(-600.0)


#: Pages with a number in their address, and answers to what people send.
PAGES = (
    "/admin/connections/details/?id=3",
    "/admin/connections/details/?id=8",
    "/admin/connections/edit/?id=3",
    "/admin/connections/new/?from=3",
    "/admin/events/?connection=3",
    "/admin/messages/?topic=%23%23&since=x",
    "/admin/messages/1/",
    "/admin/messages/2/",
    "/admin/commands/1/page",
    "/admin/commands/2/page",
    "/admin/publish/?connection=3",
    "/admin/publish/1",
    "/admin/connections/?group=site",
    "/admin/connections/?search=nothing",
    "/admin/events/?connection=77&state=refused&tries=hidden",
    "/admin/audit/?connection=3",
    "/admin/people/details/?id=1",
    "/admin/people/new/",
    "/admin/connections/?show=failing",
    "/admin/?kiosk=1",
    "/nowhere",
)


@ONE_DATABASE
def test_every_text_of_every_page_comes_from_a_catalogue(
    app: Flask, installation: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    admin = signed_in(app, "admin")
    token = admin.token()
    pseudo.speak(app, monkeypatch, tmp_path / "translations")
    found = {page: pseudo.outside(text) for page, text in _pages(app, admin, token).items()}
    rows.sql(installation, "UPDATE worker_heartbeat SET beat_at = '2026-01-01 00:00:00+00:00'")
    for page in _FOR_SCRIPTS:
        texts = " ".join(_texts(admin.get(page, headers=publications.JSON).get_json()))
        found[page] = pseudo.outside(texts)
    for page in ("/admin/", "/admin/?kiosk=1", CONNECTIONS, "/admin/workers/", NEW):
        found[f"{page}, worker silent"] = pseudo.outside(admin.get(page).text)
    assert {page: missing for page, missing in found.items() if missing} == {}


def _texts(told: Any) -> Iterator[str]:
    """Yield what a script shows of an answer."""
    if isinstance(told, dict):
        for name, value in told.items():
            yield from _texts(value) if name not in _CODES else ()
    elif isinstance(told, list):
        for value in told:
            yield from _texts(value)
    elif isinstance(told, str):
        yield told


def _pages(app: Flask, admin: Visitor, token: str) -> dict[str, str]:
    """Return the HTML of every page that needs no argument, and of those above."""
    plain = [
        rule.rule
        for rule in app.url_map.iter_rules()
        if "GET" in (rule.methods or ()) and not rule.arguments and rule.endpoint not in _NO_PAGES
    ]
    answers = {page: admin.get(page, follow_redirects=True) for page in (*plain, *PAGES)}
    for deed, (address, values) in _DEEDS.items():
        data = {"csrf_token": token, **values}
        answers[deed] = admin.client.post(address, data=data, follow_redirects=True)
    answers["a form without its token"] = admin.client.post(NEW, data={})
    answers["the door"] = app.test_client().get("/login")
    return {page: answer.text for page, answer in answers.items() if answer.mimetype == "text/html"}


CONNECTIONS = "/admin/connections/"
#: Answered with JSON whose texts scripts show, and the names in it of what they do not.
_FOR_SCRIPTS = (
    "/admin/live",
    "/admin/live?show=wall",
    "/admin/connections/live",
    "/admin/commands/1",
    "/admin/commands/2",
    "/admin/messages/live?after=0",
    "/admin/messages/live?before=9",
    "/admin/publish/connections?q=Ω",
)
_CODES = {"kind", "state", "result", "tone", "url", "code", "detail", "verdict", "title"}
#: What people send, and where; the answer is a page, or leads to one that says what was done.
_DEEDS: dict[str, tuple[str, dict[str, Any]]] = {
    "a refused record": (NEW, form(name="", host="", port="x", keepalive_s="0")),
    "a refused login": (NEW, form(username="", password="ψ", status_topic="#", client_id="{χ}")),
    "a refused host": (NEW, form(host="169.254.169.254", port="22", site="\u202e")),
    "a taken name": (NEW, form(name="Ω1", site="Σ", host="10.0.0.7", client_id="χ")),
    "a new record": (NEW, form(name="Ω0", site="Σ", host="10.0.0.8")),
    "records enabled": (CONNECTIONS + "action/", {"action": "enable", "rowid": ["1", "10"]}),
    "records disabled": (CONNECTIONS + "action/", {"action": "disable", "rowid": ["1", "10"]}),
    "nothing selected": (CONNECTIONS + "action/", {"action": "disable"}),
    "reconnects": (CONNECTIONS + "action/", {"action": "reconnect", "rowid": ["2", "3", "10"]}),
    "a command": (CONNECTIONS + "command/", {"id": "3", "kind": "clear_cooldown"}),
    "a test": (CONNECTIONS + "test", form(name="Ω0", site="Σ", host="10.0.0.8")),
    "a refused test": (CONNECTIONS + "test", form(name="Ω0", host="")),
    "a deleted record": (CONNECTIONS + "delete/", {"id": "9"}),
    "a deletion again": (CONNECTIONS + "delete/", {"id": "9"}),
    "a message": (publications.SEND, publications.form(3, topic="τ", payload="1")),
    "a refused message": (
        publications.SEND,
        publications.form(3, topic="τ/+", qos="9", payload_kind="hex", payload="ξ"),
    ),
    "a refused account": ("/admin/people/new/", {"email": "ξ", "role": "ξ"}),
    "a new account": ("/admin/people/new/", {"email": "a@site.example", "role": "viewer"}),
    "an own role": ("/admin/people/role", {"id": "1", "role": "viewer"}),
    "a refused password": ("/change", {"password": "ξ", "new_password": "ξ"}),
    "a refused file": (CONNECTIONS + "import", {}),
    "a choice of nothing": ("/admin/help/look", {"theme": "ξ"}),
}
#: Leads out, or answers with no page.
_NO_PAGES = {"security.logout"}
