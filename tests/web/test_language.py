"""Whose language a page speaks."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import Engine

from tests.web.conftest import Visitor
from tests.worker.service.worker import ONE_DATABASE
from webapp.people import presence
from webapp.wording import texts

HEALTH = "/api/v1/mqtt/health/"
ITALIAN = {"Accept-Language": "it-IT,it;q=0.9,en;q=0.8"}
CHOOSE = "/admin/language"

pytestmark = ONE_DATABASE


@pytest.mark.parametrize(
    ("asked", "spoken"),
    [
        ("it-IT,it;q=0.9,en;q=0.8", "it"),
        ("en-US,en;q=0.9,it;q=0.5", "en"),
        ("de-DE,de;q=0.9,it;q=0.5", "it"),
        ("de-DE", "en"),
        ("", "en"),
        ("\x00;q=;,", "en"),
    ],
)
def test_a_page_speaks_what_the_browser_asks_for(
    anonymous: Visitor, asked: str, spoken: str
) -> None:
    page = anonymous.get("/login", headers={"Accept-Language": asked}).text
    assert f'<html lang="{spoken}"' in page


def test_what_was_chosen_counts_more_than_the_browser(operator: Visitor) -> None:
    answer = operator.post(CHOOSE, {"language": "it", "here": "/admin/events/?state=refused"})
    assert answer.location == "/admin/events/?state=refused"
    assert '<html lang="it"' in operator.get("/admin/events/").text
    operator.post(CHOOSE, {"language": "en"})
    assert '<html lang="en"' in operator.get("/admin/events/", headers=ITALIAN).text
    operator.post(CHOOSE, {"language": "tlh"})
    assert '<html lang="it"' in operator.get("/admin/events/", headers=ITALIAN).text


@pytest.mark.parametrize("back", ["//evil.example/", "https://evil.example/", "/\\evil", "/a\nb"])
def test_a_choice_leads_to_no_other_site(operator: Visitor, back: str) -> None:
    assert operator.post(CHOOSE, {"language": "it", "here": back}).location == "/"


def test_a_viewer_chooses_too_and_nobody_does_for_them(viewer: Visitor) -> None:
    assert viewer.post(CHOOSE, {"language": "it"}).status_code == 302
    assert viewer.client.post(CHOOSE, data={"language": "en"}).status_code == 400


def test_machines_are_answered_in_english(operator: Visitor, engine: Engine) -> None:
    assert '<html lang="it"' in operator.get("/admin/", headers=ITALIAN).text
    told = operator.get(HEALTH, headers=ITALIAN).get_json()["output"]
    assert told == operator.get(HEALTH).get_json()["output"]


def test_numbers_are_written_as_the_language_does(app: Flask) -> None:
    with app.test_request_context("/", headers=ITALIAN):
        assert texts.size(12_345) == "12,3 kB"
        assert texts.number(1_234_567) == "1.234.567"
    with app.test_request_context("/"):
        assert texts.number(1_234_567) == "1,234,567"


def test_a_page_without_a_database_speaks_too(unreachable_app: Flask) -> None:
    client = unreachable_app.test_client()
    with client.session_transaction() as session:
        session["_user_id"] = "somebody"
        session[presence.KEY] = "some session"
    page = Visitor(client).get("/admin/", headers=ITALIAN)
    assert page.status_code == 503
    assert '<html lang="it"' in page.text
    assert "Hawser non raggiunge i suoi dati" in page.text


def test_scripts_learn_their_texts_before_they_run(operator: Visitor) -> None:
    page = operator.get("/admin/", headers=ITALIAN).text
    assert page.index("/static/words.js") < page.index("/static/words/it.js")
    assert page.index("/static/words/it.js") < page.index("/static/app.js")
    taught = operator.get("/static/words/it.js")
    assert "Aggiornato {seconds} s fa" in taught.text
    taught.close()
    assert "/static/words/" not in operator.get("/admin/").text
