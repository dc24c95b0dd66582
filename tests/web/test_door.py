"""Who gets in, and what every answer carries."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from flask import Flask
from sqlalchemy import Engine

from tests.web import rows
from tests.web.conftest import Visitor, signed_in
from webapp.front import guard
from webapp.people import accounts, presence
from webapp.settings import WebSettings

PASSWORD = "correct horse battery"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database is enough for the door."""
    return sqlite_url


def make_account(app: Flask, role: str = "admin", email: str = "ann@hawser.example") -> str:
    with app.app_context():
        accounts.ensure_roles()
        accounts.create(email, PASSWORD, role)
    return email


def paths(app: Flask) -> list[tuple[str, str, str]]:
    """Return (endpoint, method, path) of everything the application answers."""
    found = []
    for rule in app.url_map.iter_rules():
        path = rule.build(dict.fromkeys(rule.arguments, "x"))
        assert path is not None
        found += [(rule.endpoint, method, path[1]) for method in sorted(rule.methods or ())]
    return found


def test_an_anonymous_visitor_reaches_only_what_is_public(app: Flask, anonymous: Visitor) -> None:
    app.config["WTF_CSRF_ENABLED"] = False  # so that the door, not the token, refuses
    closed = 0
    for endpoint, method, path in paths(app):
        if endpoint in guard.PUBLIC_ENDPOINTS or guard.is_static(endpoint) or method == "OPTIONS":
            continue
        answer = anonymous.client.open(path, method=method)
        sent_to_login = answer.status_code == 302 and answer.location.startswith("/login")
        assert sent_to_login or answer.status_code == 401, f"{method} {path}: {answer.status}"
        closed += 1
    assert closed > 20


def test_only_these_endpoints_are_public() -> None:
    assert sorted(guard.PUBLIC_ENDPOINTS) == [
        "admin.static",
        "health.health",
        "health.livez",
        "health.readyz",
        "security.login",
        "security.mf_recovery",
        "security.two_factor_token_validation",
        "static",
    ]


def test_a_viewer_reads_every_page_and_changes_nothing(
    app: Flask, viewer: Visitor, worker: Engine
) -> None:
    number = rows.record(worker)
    for page in ("", "connections/", f"connections/details/?id={number}", "events/", "workers/"):
        assert viewer.get(f"/admin/{page}").status_code == 200
    listing = viewer.get("/admin/connections/").text
    assert "Delete" not in listing
    assert "Add a connection" not in listing
    assert viewer.get("/admin/connections/new/").status_code == 403
    assert viewer.get(f"/admin/connections/edit/?id={number}").status_code == 403
    for path in ("delete/", "action/", "new/", f"edit/?id={number}"):
        data = {"id": number, "rowid": number, "action": "disable"}
        assert viewer.post(f"/admin/connections/{path}", data).status_code == 403


def test_signing_in_and_out_works(app: Flask, anonymous: Visitor) -> None:
    email = make_account(app)
    answer = anonymous.sign_in(f" {email.upper()} ", PASSWORD)
    assert (answer.status_code, answer.location) == (302, "/admin/")
    assert anonymous.get("/admin/").status_code == 200
    assert anonymous.post("/logout").status_code == 302
    assert anonymous.get("/admin/").status_code == 302


@pytest.mark.parametrize("email", ["ann@hawser.example", "nobody@hawser.example", "\x00", ""])
def test_a_wrong_login_says_the_same_whoever_it_was(
    app: Flask, anonymous: Visitor, email: str
) -> None:
    make_account(app)
    answer = anonymous.sign_in(email, "wrong")
    assert answer.status_code == 200
    assert "E-mail address and password do not match." in answer.text


@pytest.mark.parametrize("target", ["//evil.example/", "https://evil.example/", "\\\\evil.example"])
def test_signing_in_never_leads_to_another_site(
    app: Flask, anonymous: Visitor, target: str
) -> None:
    answer = anonymous.sign_in(make_account(app), PASSWORD, next=target)
    assert urljoin("http://hawser.example/login", answer.location).startswith(
        "http://hawser.example/"
    )


def test_a_visitor_is_led_back_to_the_page_asked_for(app: Flask, anonymous: Visitor) -> None:
    assert anonymous.get("/admin/events/").location == "/login?next=/admin/events/"
    answer = anonymous.sign_in(make_account(app), PASSWORD, next="/admin/events/")
    assert answer.location == "/admin/events/"


@pytest.mark.parametrize("path", ["delete/", "action/", "new/", "edit/?id=1"])
def test_a_post_without_a_token_changes_nothing(
    operator: Visitor, worker: Engine, path: str
) -> None:
    number = rows.record(worker)
    data = {"id": number, "rowid": number, "action": "delete"}
    answer = operator.client.post(f"/admin/connections/{path}", data=data)
    assert answer.status_code == 400
    assert operator.get(f"/admin/connections/details/?id={number}").status_code == 200


def test_the_session_cookie_is_for_this_site_and_not_for_scripts(make_app: Any, home: Path) -> None:
    for env, secure in (("demo", False), ("production", True)):
        visitor = Visitor(make_app(env=env).test_client())
        cookie = visitor.get("/login").headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert ("Secure" in cookie) is secure


@pytest.mark.parametrize(
    "path",
    ["/login", "/admin/", "/livez", "/api/v1/mqtt/health/", "/nowhere", "/static/app.js"],
)
def test_every_answer_carries_the_security_headers(operator: Visitor, path: str) -> None:
    with operator.get(path) as answer:
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"]


def test_changing_the_password_removes_the_generated_one(
    app: Flask, anonymous: Visitor, make_settings: Any, home: Path
) -> None:
    settings: WebSettings = make_settings()
    with app.app_context():
        accounts.ensure_roles()
        password = accounts.create_first_admin(settings)
    kept = home / "admin-password"
    assert kept.read_text().strip() == password
    assert kept.stat().st_mode & 0o777 == 0o600
    assert password is not None
    anonymous.sign_in(settings.admin_email, password)
    new = {"new_password": PASSWORD, "new_password_confirm": PASSWORD}
    answer = anonymous.post("/change", {"password": password, **new})
    assert answer.status_code == 302, answer.text
    assert not kept.exists()
    anonymous.post("/logout")
    assert anonymous.sign_in(settings.admin_email, PASSWORD).location == "/admin/"


def test_a_disabled_account_is_out_at_once(app: Flask, engine: Engine) -> None:
    visitor = signed_in(app, "operator")
    assert visitor.get("/admin/").status_code == 200
    rows.sql(engine, "update user_account set active = false")
    assert visitor.get("/admin/").status_code == 302


def test_pages_without_a_database_are_one_plain_503(unreachable_app: Flask) -> None:
    client = unreachable_app.test_client()
    with client.session_transaction() as session:
        session["_user_id"] = "somebody"
        session[presence.KEY] = "some session"
    answer = client.get("/admin/")
    assert answer.status_code == 503
    assert "Not ready" in answer.text
    assert "Traceback" not in answer.text
    assert "nonexistent" not in answer.text
    assert answer.headers["Retry-After"]


def test_a_missing_page_is_a_plain_404(anonymous: Visitor) -> None:
    answer = anonymous.get("/nowhere")
    assert answer.status_code == 404
    assert "There is no such page." in answer.text


def test_no_page_names_another_site(operator: Visitor, worker: Engine) -> None:
    number = rows.record(worker)
    pages = ("", "connections/", "connections/new/", f"connections/details/?id={number}", "events/")
    for page in pages:
        text = operator.get(f"/admin/{page}").text
        assert "http://" not in text.replace("http://localhost", "")
        assert "https://" not in text
        assert "onclick" not in text
        assert "javascript:" not in text
        assert " style=" not in text
