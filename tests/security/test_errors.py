"""What goes wrong inside is told in one sentence: no SQL, no values, no paths, no traces."""

from __future__ import annotations

import re
from typing import Any

import pytest
import structlog
from sqlalchemy import text

from database.base import Base
from tests.security.conftest import MakeSite
from tests.security.fuzzing import JSON_VALUES
from tests.security.site import Site
from tests.web.forms import filters, form

CANARY = "canary-9f1c"
#: SQL, drivers, files and our own insides.
INSIDES = re.compile(
    r"select |insert |update |sqlite|psycopg|no such table|no such column|traceback|\.py\b|"
    r"/site-packages|/tmp|/dev/shm|sqlalchemy|werkzeug|operationalerror: ",
    re.IGNORECASE,
)


def tell(answer: Any) -> str:
    """Return an answer without the addresses of our own scripts."""
    told: str = answer.data.decode("utf-8", "replace")
    return re.sub(r"\?v=[\w.]+", "", told)


@pytest.fixture
def broken(make_site: MakeSite) -> Site:
    """A site whose tables are gone but for those that say who is signed in."""
    return make_site()


def break_it(site: Site) -> None:
    kept = {"user_account", "role", "role_user", "user_session"}
    with site.engine.begin() as transaction:
        transaction.execute(text("pragma foreign_keys=off"))
        for table in reversed(Base.metadata.sorted_tables):
            if table.name not in kept:
                transaction.execute(text(f"drop table {table.name}"))


def test_a_database_without_tables_is_one_sentence_everywhere(broken: Site) -> None:
    caller = broken.client("admin")
    secret = {"name": CANARY, "username": CANARY, "password": CANARY, "notes": CANARY}
    sent = {"csrf_token": caller.token, **form(**secret), **filters(CANARY)}
    break_it(broken)
    failed = 0
    with structlog.testing.capture_logs() as events:
        for method in ("GET", "POST"):
            for address in broken.addresses(method):
                # A file whose making fails half-way ends there: its head has been sent.
                if address.endpoint == "security.logout" or address.path.endswith("/export"):
                    continue
                answer = caller.client.open(
                    f"{address.path}?id=1", method=method, data=sent, buffered=True
                )
                assert answer.status_code != 500, address
                if answer.status_code == 503:
                    failed += 1
                    assert not INSIDES.search(tell(answer)), address
                    assert CANARY not in tell(answer), address
    assert failed > 15
    # What is wrong with the whole database is logged once, elsewhere; the rest is, too.
    assert events
    assert CANARY not in repr(events)
    assert "select " not in repr(events).lower()


def test_an_exception_of_the_database_holds_no_values(site: Site) -> None:
    with (
        pytest.raises(Exception, match="no such table") as caught,
        site.engine.connect() as transaction,
    ):
        transaction.execute(text("select * from nowhere where x = :x"), {"x": CANARY})
    assert CANARY not in str(caught.value)
    assert CANARY not in repr(caught.value)


def test_the_log_of_an_unexpected_error_says_where_and_nothing_of_the_form(
    make_site: MakeSite,
) -> None:
    site = make_site(None)

    def fail() -> Any:
        msg = "boom"
        raise RuntimeError(msg)

    site.app.add_url_rule("/admin/fail", "fail", fail, methods=["POST"])
    with structlog.testing.capture_logs() as events:
        answer = site.client("admin").post("/admin/fail", {"password": CANARY})
    assert answer.status_code == 500
    assert "boom" not in answer.text
    (event,) = [event for event in events if event["event"] == "unexpected error"]
    assert event["path"] == "/admin/fail"
    assert CANARY not in repr(event)


def test_a_refused_form_gives_no_password_back(site: Site) -> None:
    caller = site.client("admin")
    values = {"password": CANARY, "tls_client_key_pem": CANARY, "port": "x"}
    for address in site.addresses("POST"):
        if address.endpoint == "security.logout":
            continue
        names = ("password", "new_password", "new_password_confirm", "code", "current_password")
        sent = {**form(**values), **dict.fromkeys(names, CANARY)}
        answer = caller.post(f"{address.path}?id=1", sent)
        assert CANARY not in answer.text, address


@pytest.mark.parametrize("path", ["/login", "/change", "/tf-validate", "/mf-recovery"])
def test_json_that_is_no_form_is_refused(site: Site, path: str) -> None:
    caller = site.client(None if path != "/change" else "admin")
    fields = ("email", "password", "new_password", "code", "next")
    bodies = [*JSON_VALUES, *(dict.fromkeys(fields, value) for value in JSON_VALUES)]
    refused = 0
    for body in bodies:
        headers = {"X-CSRFToken": caller.token}
        answer = caller.client.post(path, json=body, headers=headers)
        assert answer.status_code < 500, body
        refused += answer.status_code == 400
    assert refused >= len(bodies) - 6


@pytest.mark.parametrize("path", ["/login", "/static/app.css"])
@pytest.mark.parametrize("body", [b"[" * 60_000, b'{"email":' * 7_000])
def test_json_that_is_nested_too_deeply_is_refused_to_strangers(
    site: Site, path: str, body: bytes
) -> None:
    caller = site.client(None)
    method = "POST" if path == "/login" else "GET"
    headers = {"X-CSRFToken": caller.token, "Content-Type": "application/json"}
    assert caller.client.open(path, method=method, data=body, headers=headers).status_code == 400
