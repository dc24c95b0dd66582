"""The second factor: set up with a phone, asked for at sign-in, each code good once."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urljoin

import pytest
import time_machine
from flask import Flask
from passlib.totp import TOTP  # type: ignore[import-untyped]
from sqlalchemy import Engine

from database import encryption
from tests.conftest import ENCRYPTION_KEY
from tests.web import people
from tests.web.conftest import Visitor, signed_in
from tests.web.people import ANN, PASSWORD, is_in, visitor_of
from webapp.people import second_factor
from webapp.people.views import CODE_WITHIN

SETUP = "/admin/account/second-factor/"
_KEY = re.compile(r"<code>([A-Z2-7 -]{20,})</code>")
_CODE = re.compile(r"<code>([0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4})</code>")
_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')
NOW = 1_800_000_000.0


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What is stored is text on either database."""
    return sqlite_url


@pytest.fixture
def clock() -> Any:
    """A clock that stands still."""
    with time_machine.travel(NOW, tick=False) as found:
        yield found


class Phone:
    """An authenticator app."""

    def __init__(self, key: str) -> None:
        self._totp = TOTP(re.sub("[ -]", "", key))

    def code(self) -> str:
        return str(self._totp.generate().token)


class HalfIn(Visitor):
    """Somebody who gave the password and is asked for a code; a look at /login would end that."""

    def token(self) -> str:
        return str(_TOKEN.findall(self.client.get("/tf-validate").text)[0])


def set_up(visitor: Visitor) -> tuple[Phone, list[str]]:
    """Turn the second factor on; return the phone and the recovery codes."""
    found = _KEY.search(visitor.get(SETUP).text)
    assert found
    phone = Phone(found[1])
    answer = visitor.post(SETUP, {"code": phone.code(), "password": PASSWORD})
    codes = _CODE.findall(answer.text)
    assert len(codes) == second_factor.RECOVERY_CODES, answer.text
    return phone, codes


def first_step(app: Flask) -> HalfIn:
    """Give the right password; nobody is signed in by it."""
    visitor = Visitor(app.test_client())
    assert visitor.sign_in(ANN, PASSWORD).location.startswith("/tf-validate")
    assert not is_in(visitor)
    return HalfIn(visitor.client)


def test_a_phone_is_set_up_anew_where_the_key_changed_meanwhile(
    app: Flask, make_app: Callable[..., Flask]
) -> None:
    people.make(app)
    here = visitor_of(app)
    before = here.get(SETUP).text
    here.client.application = make_app(encryption_keys=encryption.new_key())
    assert _KEY.findall(here.get(SETUP).text)[0] not in before


def test_a_phone_is_set_up_and_asked_for_from_then_on(
    app: Flask, engine: Engine, clock: Any
) -> None:
    people.make(app)
    here, elsewhere = visitor_of(app), visitor_of(app)
    page = here.get(SETUP).text
    assert 'src="data:image/svg+xml;base64,' in page
    phone, _codes = set_up(here)
    assert is_in(here)
    assert not is_in(elsewhere)
    clock.shift(30)
    visitor = first_step(app)
    assert visitor.post("/tf-validate", {"code": "000000"}).status_code == 200
    assert not is_in(visitor)
    assert visitor.post("/tf-validate", {"code": phone.code()}).location == "/admin/"
    assert is_in(visitor)
    told = [entry[0] for entry in people.audit(engine)]
    assert told[-3:] == ["account.add_second_factor", "session.refused", "session.start"]


def test_it_is_turned_on_only_with_the_right_code_and_the_password(
    app: Flask, engine: Engine
) -> None:
    people.make(app)
    visitor = visitor_of(app)
    found = _KEY.search(visitor.get(SETUP).text)
    assert found
    code = Phone(found[1]).code()
    wrong = visitor.post(SETUP, {"code": code, "password": "wrong"})
    assert "This is not your password." in wrong.text
    wrong = visitor.post(SETUP, {"code": "000000", "password": PASSWORD})
    assert "This code is not right." in html.unescape(wrong.text)
    assert people.one(engine, "select tf_primary_method from user_account") is None


def test_a_code_opens_once(app: Flask, engine: Engine, clock: Any) -> None:
    people.make(app)
    phone, _codes = set_up(visitor_of(app))
    clock.shift(30)
    first, second = first_step(app), first_step(app)
    assert first.post("/tf-validate", {"code": phone.code()}).status_code == 302
    assert second.post("/tf-validate", {"code": phone.code()}).status_code == 200


def test_a_recovery_code_opens_once_even_for_two_at_once(
    app: Flask, engine: Engine, clock: Any
) -> None:
    people.make(app)
    _phone, codes = set_up(visitor_of(app))
    visitors = [first_step(app), first_step(app)]

    def recover(visitor: Visitor) -> int:
        return visitor.post("/mf-recovery", {"code": codes[0].upper()}).status_code

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(recover, visitors)) == [200, 302]
    assert sorted(map(is_in, visitors)) == [False, True]
    again = first_step(app)
    assert "used already" in again.post("/mf-recovery", {"code": codes[0]}).text
    assert again.post("/mf-recovery", {"code": codes[1]}).status_code == 302


def test_new_recovery_codes_replace_those_before(app: Flask, clock: Any) -> None:
    people.make(app)
    visitor = visitor_of(app)
    _phone, codes = set_up(visitor)
    answer = visitor.post("/admin/account/recovery-codes/", {"password": PASSWORD})
    new = _CODE.findall(answer.text)
    assert not _CODE.search(visitor.get("/admin/account/recovery-codes/").text)
    late = first_step(app)
    assert late.post("/mf-recovery", {"code": codes[0]}).status_code == 200
    assert late.post("/mf-recovery", {"code": new[0]}).status_code == 302


def test_codes_cannot_be_guessed(app: Flask, clock: Any) -> None:
    people.make(app)
    phone, _codes = set_up(visitor_of(app))
    clock.shift(30)
    visitor = first_step(app)
    answers = [
        visitor.post(path, {"code": "000000"}).status_code
        for path in ("/tf-validate", "/mf-recovery") * 4
    ]
    assert answers == [200] * 5 + [429] * 3
    assert visitor.post("/tf-validate", {"code": phone.code()}).status_code == 429


def test_the_second_step_follows_the_first_within_minutes(app: Flask, clock: Any) -> None:
    people.make(app)
    phone, _codes = set_up(visitor_of(app))
    stranger = Visitor(app.test_client())
    for path in ("/tf-validate", "/mf-recovery"):
        assert stranger.get(path).location == "/login"
        assert stranger.post(path, {"code": phone.code()}).location == "/login"
    late = first_step(app)
    token = late.token()
    clock.shift(CODE_WITHIN + 1)
    data = {"code": phone.code(), "csrf_token": token}
    assert late.client.post("/tf-validate", data=data).location == "/login"
    assert not is_in(late)


def test_a_pending_second_step_ends_with_the_password(app: Flask, clock: Any) -> None:
    number = people.make(app)
    phone, _codes = set_up(visitor_of(app))
    clock.shift(30)
    pending = first_step(app)
    data = {"code": phone.code(), "csrf_token": pending.token()}
    signed_in(app, "admin").post("/admin/people/reset", {"id": number})
    assert pending.client.post("/tf-validate", data=data).location == "/login"
    assert not is_in(pending)


@pytest.mark.parametrize("target", ["//evil.example/", "https://evil.example/", "\\\\evil.example"])
def test_the_second_step_leads_to_no_other_site(app: Flask, clock: Any, target: str) -> None:
    people.make(app)
    phone, _codes = set_up(visitor_of(app))
    clock.shift(30)
    visitor = first_step(app)
    data = {"code": phone.code(), "csrf_token": visitor.token(), "next": target}
    answer = visitor.client.post("/tf-validate", query_string={"next": target}, data=data)
    here = "http://hawser.example/"
    assert urljoin(f"{here}tf-validate", answer.location).startswith(here)


def test_its_owner_or_an_administrator_removes_it(app: Flask, engine: Engine, clock: Any) -> None:
    number = people.make(app)
    visitor = visitor_of(app)
    set_up(visitor)
    path = "/admin/account/second-factor/remove"
    assert "not your password" in visitor.post(path, {"password": "wrong"}).text
    assert visitor.post(path, {"password": PASSWORD}).status_code == 303
    clock.shift(30)
    set_up(visitor)
    admin = signed_in(app, "admin")
    admin.post("/admin/people/second-factor", {"id": number})
    assert not is_in(visitor)
    assert is_in(visitor_of(app))
    left = "select count(*) from user_account where tf_totp_secret is not null"
    assert people.one(engine, left) == 0


def test_neither_secret_nor_recovery_codes_are_stored_in_clear(
    app: Flask, engine: Engine, clock: Any
) -> None:
    people.make(app)
    visitor = visitor_of(app)
    found = _KEY.search(visitor.get(SETUP).text)
    assert found
    _phone, codes = set_up(visitor)
    row = "select tf_totp_secret || mf_recovery_codes from user_account"
    stored = people.one(engine, row)
    assert found[1].replace("-", "") not in stored
    assert not any(code in stored for code in codes)


def test_it_still_opens_after_the_encryption_keys_were_changed(
    make_app: Any, engine: Engine, clock: Any
) -> None:
    before = make_app()
    people.make(before)
    phone, codes = set_up(visitor_of(before))
    clock.shift(30)
    after = make_app(encryption_keys=f"{encryption.new_key()},{ENCRYPTION_KEY}")
    assert first_step(after).post("/tf-validate", {"code": phone.code()}).status_code == 302
    assert first_step(after).post("/mf-recovery", {"code": codes[0]}).status_code == 302


@pytest.mark.parametrize("code", ["\x00", "\u202e", "1" * 60_000, "\u0661\u0662\u0663", ""])
def test_no_code_makes_a_500(app: Flask, clock: Any, code: str) -> None:
    people.make(app)
    set_up(visitor_of(app))
    visitor = first_step(app)
    for path in ("/tf-validate", "/mf-recovery"):
        assert visitor.post(path, {"code": code}).status_code == 200


def test_what_the_library_brings_along_for_it_is_closed(app: Flask) -> None:
    visitor = signed_in(app, "admin")
    for path in ("/tf-setup", "/tf-rescue", "/tf-select", "/mf-recovery-codes", "/tf-setup/x"):
        assert visitor.get(path).status_code in (404, 405)
        assert visitor.post(path).status_code == 404


def test_a_code_opens_once_over_a_restart_of_the_web(
    app: Flask, make_app: Callable[..., Flask], clock: Any
) -> None:
    people.make(app)
    phone, _codes = set_up(visitor_of(app))
    clock.shift(30)
    assert first_step(app).post("/tf-validate", {"code": phone.code()}).status_code == 302
    again = first_step(make_app())
    assert again.post("/tf-validate", {"code": phone.code()}).status_code == 200
    assert not is_in(again)


def test_a_code_of_the_step_before_does_not_open_after_that_of_this_one(
    app: Flask, clock: Any
) -> None:
    people.make(app)
    phone, _codes = set_up(visitor_of(app))
    clock.shift(30)
    earlier = phone.code()
    clock.shift(30)
    assert first_step(app).post("/tf-validate", {"code": phone.code()}).status_code == 302
    assert first_step(app).post("/tf-validate", {"code": earlier}).status_code == 200


def test_a_code_opens_once_for_two_at_once(
    app: Flask, make_app: Callable[..., Flask], clock: Any
) -> None:
    people.make(app)
    phone, _codes = set_up(visitor_of(app))
    clock.shift(30)
    visitors = [first_step(app), first_step(make_app())]
    code = phone.code()

    def enter(visitor: Visitor) -> int:
        return visitor.post("/tf-validate", {"code": code}).status_code

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(enter, visitors)) == [200, 302]


def test_the_code_that_set_a_phone_up_does_not_open(app: Flask, clock: Any) -> None:
    people.make(app)
    phone, _codes = set_up(visitor_of(app))
    assert first_step(app).post("/tf-validate", {"code": phone.code()}).status_code == 200


def test_a_clock_that_was_wrong_keeps_nobody_out(app: Flask, clock: Any) -> None:
    people.make(app)
    phone, _codes = set_up(visitor_of(app))
    clock.shift(-24 * 3600)
    assert first_step(app).post("/tf-validate", {"code": phone.code()}).status_code == 302
    assert first_step(app).post("/tf-validate", {"code": phone.code()}).status_code == 200


def test_another_phone_begins_anew(app: Flask, clock: Any) -> None:
    people.make(app)
    visitor = visitor_of(app)
    set_up(visitor)
    visitor.post("/admin/account/second-factor/remove", {"password": PASSWORD})
    set_up(visitor)


HOSTILE = (
    "evil.example",
    "EVIL.example",
    "evil.example:80",
    "evil.example:8080",
    "evil.example.",
    "xn--evil-5qa.example",
    "[::2]:80",
)


def _first_step_at(app: Flask, host: str, target: str) -> tuple[Visitor, Any]:
    """Give the right password to the application under the name `host`."""
    client = app.test_client()
    page = client.get("/login", base_url=f"http://{host}").text
    data = {"email": ANN, "password": PASSWORD, "csrf_token": _TOKEN.findall(page)[0]}
    return Visitor(client), client.post("/login" + target, base_url=f"http://{host}", data=data)


@pytest.mark.parametrize("host", HOSTILE)
def test_the_way_to_the_second_step_does_not_repeat_the_host(
    app: Flask, clock: Any, host: str
) -> None:
    people.make(app)
    set_up(visitor_of(app))
    ways = {
        "": "/admin/",
        "?next=/admin/events/": "/admin/events/",
        f"?next=http://{host}/admin/events/": "/admin/events/",
        f"?next=http://{host}//evil.example": "/evil.example",
    }
    for target, wanted in ways.items():
        _visitor, answer = _first_step_at(app, host, target)
        assert answer.location == f"/tf-validate?next={wanted}"
        assert "http" not in answer.text.replace("<!doctype html>", "")


def test_the_second_step_leads_on_without_the_host(app: Flask, clock: Any) -> None:
    people.make(app)
    phone, _codes = set_up(visitor_of(app))
    clock.shift(30)
    visitor, answer = _first_step_at(app, HOSTILE[0], "")
    here = {"base_url": f"http://{HOSTILE[0]}"}
    page = visitor.client.get(answer.location, **here).text
    assert "evil" not in page
    code = {"code": phone.code(), "csrf_token": _TOKEN.findall(page)[0]}
    assert visitor.client.post(answer.location, data=code, **here).location == "/admin/"


@pytest.mark.parametrize("target", ["http://evil.example/", "//evil.example"])
def test_a_next_page_elsewhere_is_refused_before_the_second_step(
    app: Flask, clock: Any, target: str
) -> None:
    people.make(app)
    set_up(visitor_of(app))
    answer = Visitor(app.test_client()).sign_in(ANN, PASSWORD, next=target)
    assert answer.status_code == 200
    assert "leads to another site" in answer.text
