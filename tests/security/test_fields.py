"""Fields that no form has change nothing; rows of others stay theirs; secrets stay inside."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from database.session import immediate
from tests.conftest import HOSTNAME
from tests.security.conftest import MakeSite
from tests.security.filling import fill
from tests.security.site import PASSWORD, Site
from tests.web import publications
from tests.web.forms import filters, form
from webapp.connections import importing

NEW = "/admin/connections/new/"
EDIT = "/admin/connections/edit/?id=1"
#: The secrets of the rows are none.
CLEARED = {"clear_tls_client_key_pem": "y", "clear_password": "y"}
#: What a row holds beside what its form asks for.
EXTRA = {
    "id": "999",
    "created_at": "2001-01-01T00:00:00+00:00",
    "updated_at": "2001-01-01T00:00:00+00:00",
    "applied_revision": "77",
    "has_password": "1",
    "connection_id": "2",
    "subscriptions-0-id": "999",
    "subscriptions-0-connection_id": "2",
    "requested_by": "evil@hawser.example",
    "boot_id": "evil",
}
#: What an account holds beside what its owner may change.
RIGHTS = {
    "role": "admin",
    "roles": "admin",
    "roles-0": "admin",
    "active": "",
    "fs_uniquifier": "evil",
    "must_change_password": "",
    "tf_primary_method": "authenticator",
    "tf_totp_secret": "evil",
    "user_id": "1",
    "password": "$argon2id$evil",
}
#: What no answer may hold: hashes, tokens, encrypted texts and the texts themselves.
SECRET_COLUMNS = {
    "connection": ("password", "tls_client_key_pem"),
    "command": ("parameters",),
    "user_account": ("password", "fs_uniquifier", "tf_totp_secret", "mf_recovery_codes"),
    "user_session": ("token_hash",),
}


def rows(site: Site, statement: str, **values: Any) -> list[dict[str, Any]]:
    with site.engine.begin() as transaction:
        result = transaction.execute(text(statement), values)
        return [dict(row._mapping) for row in result] if result.returns_rows else []


def test_a_new_record_takes_only_the_fields_of_its_form(make_site: MakeSite) -> None:
    site = make_site(None)
    sent = {**form(), **filters("a/b"), **EXTRA, "revision": "77"}
    assert site.client("operator").post(NEW, sent).status_code == 302
    (record,) = rows(site, "select * from connection")
    assert (record["id"], record["revision"], record["password"]) == (1, 1, None)
    assert not record["created_at"].startswith("2001")
    (wanted,) = rows(site, "select * from subscription")
    assert (wanted["id"], wanted["connection_id"]) == (1, 1)


def test_an_edit_changes_the_record_of_its_address_and_no_other(make_site: MakeSite) -> None:
    site = make_site()
    before = rows(site, "select * from connection where id <> 1 order by id")
    sent = {**form(name="new-name", **CLEARED), **EXTRA, "id": "2", "revision": "1"}
    assert site.client("operator").post(EDIT, sent).status_code == 302
    (record,) = rows(site, "select * from connection where id = 1")
    assert (record["name"], record["revision"]) == ("new-name", 2)
    assert not str(record["updated_at"]).startswith("2001")
    assert rows(site, "select * from connection where id <> 1 order by id") == before


def test_an_old_revision_overwrites_nothing(make_site: MakeSite) -> None:
    site = make_site()
    before = site.dump()["connection"]
    for revision in ("0", "2", "", "x", "-1", "1e0", "9" * 30):
        site.client("operator").post(EDIT, {**form(name="new-name"), "revision": revision})
        assert site.dump()["connection"] == before, revision


@pytest.mark.parametrize("field", sorted({*EXTRA, "revision"} - {"boot_id", "has_password"}))
def test_an_import_refuses_fields_that_are_not_its_own(make_site: MakeSite, field: str) -> None:
    site = make_site(None)
    item = {"name": "a", "site": "s", "host": "broker.example", field: EXTRA.get(field, "7")}
    with (
        immediate(site.engine).begin() as transaction,
        pytest.raises(importing.RejectedError, match=field),
    ):
        importing.apply(transaction, [item], HOSTNAME)
    assert rows(site, "select * from connection") == []


def test_who_asked_for_something_is_who_was_signed_in(make_site: MakeSite) -> None:
    site = make_site()
    sent = {**publications.form(1), **EXTRA, "connection": "1"}
    assert site.client("operator").post("/admin/publish/send", sent).status_code == 302
    asked = rows(site, "select * from command order by id desc limit 1")[0]
    assert asked["requested_by"].startswith("operator-")
    assert asked["id"] == 5


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_no_form_gives_anybody_more_rights(make_site: MakeSite, role: str) -> None:
    """Whatever the form, and whoever's number is in it: all accounts stay as they are."""
    site = make_site()
    caller = site.client(role)
    assert caller.token
    accounts, roles = site.dump()["user_account"], site.dump()["role_user"]
    sessions = rows(site, "select * from user_session where user_id = 1")
    for address in site.addresses("POST"):
        if address.endpoint == "security.logout":
            continue
        wrong = {**form(), **publications.form(1), **RIGHTS, "current_password": "wrong"}
        for number in ("1", "2"):
            path = f"{address.path}?id={number}&user_id={number}"
            caller.post(path, {**wrong, "id": number, "email": "evil@hawser.example"})
        assert site.dump()["user_account"] == accounts, address
        assert site.dump()["role_user"] == roles, address
        assert rows(site, "select * from user_session where user_id = 1") == sessions, address


def test_a_change_of_password_changes_nothing_else(make_site: MakeSite) -> None:
    site = make_site()
    caller = site.client("viewer")
    (before,) = rows(site, "select * from user_account where email like 'viewer-%'")
    new = {"new_password": "another horse battery", "new_password_confirm": "another horse battery"}
    sent = {**RIGHTS, **new, "password": PASSWORD, "email": "evil@hawser.example", "id": "1"}
    assert caller.post("/change", sent).status_code == 302
    (after,) = rows(site, "select * from user_account where email like 'viewer-%'")
    moved = {key for key in before if before[key] != after[key]}
    assert "password" in moved
    assert moved <= {"password", "fs_uniquifier", "password_changed_at"}
    assert after["fs_uniquifier"] != "evil"


def test_no_answer_holds_a_secret_or_what_is_stored_of_it(make_site: MakeSite) -> None:
    canary = "canary-9f1c-secret"
    site = make_site(None)
    fill(site.engine, "plain")
    rows(site, "update user_account set tf_totp_secret = 'canary-9f1c', password = '$argon2id$x'")
    operator = site.client("operator")
    secret = {"username": "u", "password": canary, "tls_client_key_pem": canary}
    operator.post(EDIT, {**form(**secret), "revision": "1"})
    del secret["tls_client_key_pem"]
    sent = {**form(**secret, **CLEARED), "revision": "1"}
    assert operator.post(EDIT, sent).status_code == 302
    stored = [
        str(value)
        for table, columns in SECRET_COLUMNS.items()
        for row in rows(site, f"select {', '.join(columns)} from {table}")
        for value in row.values()
        if value and len(str(value)) > 8
    ]
    assert len(stored) > 5
    admin = site.client("admin")
    for address in site.addresses("GET"):
        for path in (address.path, f"{address.path}?id=1"):
            told = admin.get(path, buffered=True).data.decode("utf-8", "replace")
            for value in (*stored, canary, "gAAAAA", "$argon2", "****"):
                assert value not in told, (path, value)
