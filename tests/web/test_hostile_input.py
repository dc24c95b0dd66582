"""Whatever somebody sends, the answer is never a 500 and never a stack trace."""

from __future__ import annotations

import json

from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from tests.web.conftest import Visitor
from tests.web.forms import LIST, NEW, filters, form
from webapp.people import accounts

#: The pages share one database over all examples on purpose: leftovers are part of the test.
hostile = settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
#: Characters that a browser can send, and the ones that databases and wires trip over.
WORDS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.sampled_from(
        [
            "\x00",
            "9" * 400,
            "-1",
            "1e9",
            "NaN",
            "{",
            "{site}",
            "%",
            "/admin/\r\nX: y",
            "//evil.example/",
            "/\\evil.example",
            "' or 1=1 --",
            "\u0663",
            "a/#/b",
        ]
    ),
)


@hostile
@given(values=st.dictionaries(st.sampled_from(sorted(form())), WORDS, max_size=4), topic=WORDS)
def test_no_form_makes_a_500(
    operator: Visitor, engine: Engine, values: dict[str, str], topic: str
) -> None:
    answer = operator.post(NEW, form(**values) | filters(topic))
    assert answer.status_code in (200, 302)
    assert operator.get(LIST).status_code == 200


@hostile
@given(name=WORDS, value=WORDS)
def test_no_query_makes_a_500(operator: Visitor, engine: Engine, name: str, value: str) -> None:
    pages = ("/admin/", LIST, "/admin/events/", "/admin/messages/", "/admin/live")
    for page in pages:
        for key in ("page", "sort", "desc", "search", "show", "ids", "connection", "url", name):
            answer = operator.get(page, query_string={key: value})
            assert answer.status_code in (200, 302, 404), (page, key, value)
    for page in ("edit/", "details/"):
        assert operator.get(LIST + page, query_string={"id": value}).status_code == 404
    answer = operator.get("/api/v1/mqtt/health/", query_string={"connection": value})
    assert json.loads(answer.text)["status"] in ("fail", "pass")


@hostile
@given(values=st.lists(WORDS, max_size=4), action=WORDS)
def test_no_action_makes_a_500(
    operator: Visitor, engine: Engine, values: list[str], action: str
) -> None:
    for name in ("enable", "disable", action):
        answer = operator.post(LIST + "action/", {"action": name, "rowid": values, "url": action})
        assert answer.status_code == 302
        assert "evil" not in answer.location
    answer = operator.post(LIST + "delete/", {"id": action, "url": action})
    assert answer.status_code == 302


@hostile
@given(target=WORDS)
def test_no_target_makes_a_500_of_a_good_login(app: Flask, anonymous: Visitor, target: str) -> None:
    with app.app_context():
        accounts.ensure_roles()
        if not accounts.any_user():
            accounts.create("ann@hawser.example", "correct horse", "viewer")
    answer = anonymous.sign_in("ann@hawser.example", "correct horse", next=target)
    assert answer.status_code == 302 or "leads to another site" in answer.text
    anonymous.post("/logout")


@hostile
@given(email=WORDS, password=WORDS, target=WORDS)
def test_no_login_makes_a_500(
    anonymous: Visitor, engine: Engine, email: str, password: str, target: str
) -> None:
    # 429: what is tried again and again counts against the address.
    assert anonymous.sign_in(email, password, next=target).status_code in (200, 429)
