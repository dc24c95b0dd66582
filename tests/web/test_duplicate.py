"""A copy of a connection: its form, its secrets, and where the form leads."""

from __future__ import annotations

import html
import re

from sqlalchemy import Engine, select

from database.models import Connection
from tests.web.conftest import Visitor
from tests.web.forms import LIST, NEW, SECRET, errors, filters, form, one


def value(page: str, field: str) -> str:
    found = re.search(rf'name="{field}" value="([^"]*)"', page)
    assert found
    return html.unescape(found[1])


def original(operator: Visitor, engine: Engine) -> int:
    answer = operator.post(NEW, form(username="u", password=SECRET) | filters("a/#", "b"))
    assert answer.status_code == 302
    number: int = one(engine, "select id from connection")
    return number


def passwords(engine: Engine) -> list[str | None]:
    with engine.connect() as transaction:
        found = select(Connection.__table__.c.password).order_by(Connection.id)
        return list(transaction.scalars(found))


def copied(page: str, **values: str | None) -> dict[str, str]:
    """Return what a browser sends for the form of a copy as it was filled in."""
    start = {field: value(page, field) for field in ("name", "client_id")}
    return form(**(start | {"is_enabled": None, "username": "u"} | values))


def test_a_copy_starts_disabled_with_a_name_and_a_client_id_of_its_own(
    operator: Visitor, engine: Engine
) -> None:
    number = original(operator, engine)
    page = operator.get(f"{NEW}?from={number}").text
    assert value(page, "name") == "plant-1 copy"
    assert value(page, "client_id") == "{site}_{hostname}_2"
    assert 'id="is_enabled" name="is_enabled" value="y" checked' not in page
    assert re.findall(r'topic_filter" value="([^"]*)"', page)[:2] == ["a/#", "b"]
    assert SECRET not in page
    assert operator.post(f"{NEW}?from={number}", copied(page)).status_code == 302
    assert passwords(engine) == [SECRET, None]
    again = operator.get(f"{NEW}?from={number}").text
    assert value(again, "name") == "plant-1 copy 2"
    assert value(again, "client_id") == "{site}_{hostname}_3"


def test_a_copy_takes_the_secrets_over_only_when_asked(operator: Visitor, engine: Engine) -> None:
    number = original(operator, engine)
    address = f"{NEW}?from={number}"
    fields = copied(operator.get(address).text, with_secrets="y")
    refused = operator.post(address, fields | {"port": "70000"})
    assert errors(refused).keys() == {"port"}
    assert SECRET not in refused.text
    assert operator.post(address, fields).status_code == 302
    assert passwords(engine) == [SECRET, SECRET]


def test_a_test_of_a_copy_may_use_the_stored_secrets(operator: Visitor, worker: Engine) -> None:
    number = original(operator, worker)
    address = f"{NEW}?from={number}"
    fields = copied(operator.get(address).text, with_secrets="y")
    asked = operator.post(
        f"{LIST}test?from={number}", fields, headers={"Accept": "application/json"}
    )
    assert asked.status_code == 202
    assert SECRET not in asked.text


def test_a_copy_of_nothing_is_404_and_a_viewer_makes_none(
    operator: Visitor, viewer: Visitor, engine: Engine
) -> None:
    number = original(operator, engine)
    for wrong in ("999", "abc", "", "-1"):
        assert operator.get(f"{NEW}?from={wrong}").status_code == 404
    assert viewer.get(f"{NEW}?from={number}").status_code == 403


def test_a_save_leads_to_the_record_or_to_the_page_asked_for(
    operator: Visitor, engine: Engine
) -> None:
    answer = operator.post(NEW, form())
    number = one(engine, "select id from connection")
    assert answer.location == f"{LIST}details/?id={number}"
    other = form(name="other", site="other")
    asked = operator.post(NEW, other | {"url": f"{LIST}?show=failing"})
    assert asked.location == f"{LIST}?show=failing"
    foreign = operator.post(NEW, form(name="third", site="third", url="//elsewhere.example/"))
    assert foreign.location.startswith(LIST + "details/")
    more = operator.post(NEW, form(name="fourth", site="fourth", _add_another="1"))
    assert more.location == NEW


def test_a_refused_form_names_its_wrong_fields_with_links(
    operator: Visitor, engine: Engine
) -> None:
    page = operator.post(NEW, form(port="70000") | filters("ok", "a/#/b")).text
    summary = page.partition("Not saved: please correct the marked fields.")[2].partition("</div>")[
        0
    ]
    assert re.findall(r'<a href="#([^"]+)">([^<]+)</a>', summary) == [
        ("port", "Port"),
        ("subscriptions-1-topic_filter", "Topic Filter 2"),
    ]
