"""What administrators do with accounts, and what nobody can."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import Engine

from tests.web import people, rows
from tests.web.conftest import Visitor, signed_in
from tests.web.people import ANN, ONE_TIME, PASSWORD

NEW = "/admin/people/new/"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What the databases do differently is in test_people_at_once.py."""
    return sqlite_url


@pytest.fixture
def admin(app: Flask, engine: Engine) -> Visitor:
    return signed_in(app, "admin")


def added(admin: Visitor, email: str = ANN, role: str = "operator") -> tuple[str, str]:
    """Add an account through the page; return its number and its one-time password."""
    answer = admin.post(NEW, {"email": email, "role": role})
    found = ONE_TIME.search(answer.text)
    assert found, answer.text
    number = answer.text.partition('name="id" value="')[2].partition('"')[0]
    return number, found[1]


def test_somebody_who_is_added_gets_a_password_that_opens_only_its_change(
    app: Flask, admin: Visitor, engine: Engine
) -> None:
    number, password = added(admin)
    assert password not in admin.get(f"/admin/people/details/?id={number}").text
    visitor = Visitor(app.test_client())
    assert visitor.sign_in(ANN, password).status_code == 302
    for path in ("/admin/", "/admin/account/", "/admin/connections/new/"):
        assert visitor.get(path).location == "/change"
    refused = visitor.get("/admin/", headers={"Accept": "application/json"})
    assert refused.status_code == 403
    assert "Change your password first" in refused.get_json()["sentence"]
    assert visitor.post("/admin/connections/action/").location == "/change"
    assert visitor.get("/livez").status_code == 200
    assert "this one was given to you" in visitor.get("/change").text
    new = {"new_password": PASSWORD, "new_password_confirm": PASSWORD}
    assert visitor.post("/change", {"password": password, **new}).location == "/admin/"
    assert visitor.get("/admin/").status_code == 200
    told = [entry[0] for entry in people.audit(engine)]
    assert told == ["account.create", "session.start", "account.change_password"]


@pytest.mark.parametrize(
    ("email", "role", "words"),
    [
        ("nobody", "viewer", "Enter an e-mail address"),
        ("a\u202eb@hawser.example", "viewer", "Enter an e-mail address"),
        ("a\x00b@hawser.example", "viewer", "Enter an e-mail address"),
        ("a b@hawser.example", "viewer", "Enter an e-mail address"),
        ("a" * 250 + "@hawser.example", "viewer", "Enter an e-mail address"),
        ("bob@hawser.example", "owner", "Choose one of the roles"),
        (ANN.upper(), "viewer", "There is an account with this address already"),
    ],
)
def test_an_account_that_makes_no_sense_is_not_made(
    app: Flask, admin: Visitor, engine: Engine, email: str, role: str, words: str
) -> None:
    people.make(app)
    assert words in admin.post(NEW, {"email": email, "role": role}).text
    assert people.one(engine, "select count(*) from user_account") == 2


def test_a_form_sets_nothing_but_its_own_fields(app: Flask, admin: Visitor, engine: Engine) -> None:
    extra = {"id": "77", "password": "chosen", "active": "", "must_change_password": "0"}
    extra |= {"fs_uniquifier": "x", "tf_primary_method": "authenticator"}
    admin.post(NEW, {"email": ANN, "role": "viewer", **extra})
    wanted = (
        "select id <> 77 and active and must_change_password and fs_uniquifier <> 'x'"
        f" and tf_primary_method is null from user_account where email = '{ANN}'"
    )
    assert people.one(engine, wanted)


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_only_administrators_see_people(app: Flask, engine: Engine, role: str) -> None:
    visitor, number = signed_in(app, role), people.make(app)
    assert visitor.get("/admin/people/").status_code == 403
    for path in ("new/", "role", "activate", "deactivate", "reset", "second-factor", "sessions"):
        answer = visitor.post(f"/admin/people/{path}", {"id": number, "role": "admin"})
        assert answer.status_code == 403, path


def test_each_change_is_made_shown_and_written_down(
    app: Flask, admin: Visitor, engine: Engine
) -> None:
    number = people.make(app, "operator")
    changes: list[tuple[str, str, str]] = [
        ("role", "account.update", "The role is changed."),
        ("deactivate", "account.deactivate", "The account cannot sign in"),
        ("activate", "account.activate", "The account can sign in again."),
    ]
    for path, _action, words in changes:
        answer = admin.post(f"/admin/people/{path}", {"id": number, "role": "viewer"})
        assert words in admin.get(answer.location).text
    assert [entry[0] for entry in people.audit(engine)] == [action for _, action, _ in changes]
    assert {entry[2] for entry in people.audit(engine)} == {ANN}
    assert ANN in admin.get("/admin/people/").text


@pytest.mark.parametrize(
    ("path", "values"),
    [("role", {"role": "viewer"}), ("deactivate", {}), ("reset", {}), ("sessions", {})],
)
def test_what_takes_rights_away_ends_the_sessions(
    app: Flask, admin: Visitor, engine: Engine, path: str, values: dict[str, str]
) -> None:
    number = people.make(app, "operator")
    visitor = Visitor(app.test_client())
    visitor.sign_in(ANN, PASSWORD)
    assert visitor.get("/admin/").status_code == 200
    admin.post(f"/admin/people/{path}", {"id": number, **values})
    assert visitor.get("/admin/").status_code == 302


def test_a_role_that_may_more_counts_at_once(app: Flask, admin: Visitor, engine: Engine) -> None:
    number = people.make(app, "viewer")
    visitor = Visitor(app.test_client())
    visitor.sign_in(ANN, PASSWORD)
    admin.post("/admin/people/role", {"id": number, "role": "admin"})
    assert visitor.get("/admin/people/").status_code == 200


def test_a_reset_password_replaces_the_one_before(
    app: Flask, admin: Visitor, engine: Engine
) -> None:
    number = people.make(app)
    found = ONE_TIME.search(admin.post("/admin/people/reset", {"id": number}).text)
    assert found
    visitor = Visitor(app.test_client())
    assert visitor.sign_in(ANN, PASSWORD).status_code == 200
    assert visitor.sign_in(ANN, found[1]).status_code == 302
    assert visitor.get("/admin/").location == "/change"


def test_a_one_time_password_works_for_seven_days(
    app: Flask, admin: Visitor, engine: Engine
) -> None:
    _number, password = added(admin)
    given = "update user_account set password_changed_at = datetime('now', '-{} days') where 1"
    for days, words in (("8", "older than seven days"), ("6", None)):
        rows.sql(engine, given.format(days))
        answer = Visitor(app.test_client()).sign_in(ANN, password)
        assert (answer.status_code == 302) if words is None else (words in answer.text)


def test_the_last_administrator_stays_one(app: Flask, admin: Visitor, engine: Engine) -> None:
    number = people.one(engine, "select id from user_account")
    rows.sql(engine, f"update user_account set email = '{ANN}'")
    people.make(app, "admin", "idle@hawser.example")
    rows.sql(engine, "update user_account set active = false where email like 'idle%'")
    for path in ("role", "deactivate"):
        answer = admin.post(f"/admin/people/{path}", {"id": number, "role": "viewer"})
        assert "This is the last active administrator" in admin.get(answer.location).text
    assert admin.get("/admin/people/").status_code == 200


def test_ones_own_password_is_not_reset_here(app: Flask, admin: Visitor, engine: Engine) -> None:
    number = people.one(engine, "select id from user_account")
    for path in ("reset", "second-factor"):
        assert admin.post(f"/admin/people/{path}", {"id": number}).status_code == 403
