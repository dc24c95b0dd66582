"""Passwords and codes can be tried only so often, and nobody is locked out by others."""

from __future__ import annotations

import itertools
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
import time_machine
from flask import Flask
from sqlalchemy import Engine
from werkzeug.test import TestResponse

from tests.web import people
from tests.web.conftest import Visitor
from tests.web.people import ANN, PASSWORD
from webapp.people.throttle import Attempt, Throttle, TooManyAttemptsError

THERE, ELSEWHERE = "203.0.113.7", "198.51.100.9"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Attempts are counted in memory."""
    return sqlite_url


def attempt(
    visitor: Visitor, password: str = "wrong", email: str = ANN, address: str = THERE
) -> TestResponse:
    data = {"email": email, "password": password, "csrf_token": visitor.token()}
    return visitor.client.post("/login", data=data, environ_base={"REMOTE_ADDR": address})


def exhaust(app: Flask, email: str = ANN, address: str = THERE) -> TestResponse:
    """Try wrong passwords until one is refused unseen."""
    stranger = Visitor(app.test_client())
    for _number in range(6):
        answer = attempt(stranger, email=email, address=address)
    assert answer.status_code == 429
    return answer


def test_a_thousand_wrong_passwords_keep_nobody_out(app: Flask, engine: Engine) -> None:
    people.make(app)
    known = Visitor(app.test_client())
    assert attempt(known, PASSWORD).status_code == 302
    known.post("/logout")
    stranger = Visitor(app.test_client())
    data = {"email": ANN, "password": "wrong", "csrf_token": stranger.token()}
    told = {"Accept": "application/json"}
    send = {"data": data, "environ_base": {"REMOTE_ADDR": THERE}, "headers": told}
    answers = [stranger.client.post("/login", **send).status_code for _number in range(1000)]
    assert 5 <= answers.count(400) <= 15
    assert answers.count(429) >= 985
    # The owner's browser, from the same address; and a new browser from another one.
    assert attempt(known, PASSWORD).status_code == 302
    assert attempt(Visitor(app.test_client()), PASSWORD, address=ELSEWHERE).status_code == 302
    refused = "select count(*) from audit_entry where action = 'session.refused'"
    assert people.one(engine, refused) <= 15 + 2


def test_too_many_attempts_say_how_long_to_wait_and_nothing_else(app: Flask) -> None:
    people.make(app)
    existing, unknown = exhaust(app), exhaust(app, email="nobody@hawser.example")
    for answer in (existing, unknown):
        assert 1 <= int(answer.headers["Retry-After"]) <= 30
        assert "Too many attempts. Wait " in answer.text
    right = attempt(Visitor(app.test_client()), PASSWORD)
    assert right.status_code == 429


def test_programs_are_told_the_same_in_json(app: Flask) -> None:
    people.make(app)
    exhaust(app)
    visitor = Visitor(app.test_client())
    answer = visitor.client.post(
        "/login",
        json={"email": ANN, "password": "wrong"},
        headers={"X-CSRFToken": visitor.token()},
        environ_base={"REMOTE_ADDR": THERE},
    )
    assert answer.status_code == 429
    assert answer.headers["Retry-After"]
    assert answer.get_json()["sentence"].startswith("Too many attempts.")


def test_the_right_password_works_after_the_wait(app: Flask) -> None:
    people.make(app)
    with time_machine.travel(time.time(), tick=False) as clock:
        answer = exhaust(app)
        clock.shift(int(answer.headers["Retry-After"]) + 1)
        assert attempt(Visitor(app.test_client()), PASSWORD).status_code == 302


def test_the_waits_grow_to_five_minutes_and_no_further() -> None:
    throttle, waits = Throttle(), []
    with time_machine.travel(1_800_000_000.0, tick=False) as clock:
        for _number in range(100):
            try:
                throttle.count(Attempt("password", ANN, THERE))
            except TooManyAttemptsError as refusal:
                waits.append(refusal.wait)
                clock.shift(refusal.wait)
    assert waits[0] <= 30
    assert 120 < max(waits) <= 300


def test_attempts_at_the_same_moment_do_not_slip_through() -> None:
    throttle = Throttle()

    def count(_number: int) -> bool:
        try:
            throttle.count(Attempt("password", ANN, THERE))
        except TooManyAttemptsError:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(count, range(200))) == 5


def test_who_signs_in_fills_no_bucket() -> None:
    throttle = Throttle()
    for number in range(300):
        good = Attempt("password", f"{number % 7}@hawser.example", THERE)
        throttle.count(good)
        throttle.succeeded(good)


def test_people_who_sign_in_at_the_same_moment_all_come_in(app: Flask) -> None:
    people.make(app)
    browsers = [Visitor(app.test_client()) for _number in range(12)]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda browser: attempt(browser, PASSWORD), browsers))
    assert {answer.status_code for answer in answers} == {302}


def test_a_flood_of_sign_ins_leaves_threads_for_pages_and_known_browsers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("webapp.people.throttle.PATIENCE_S", 0.05)
    throttle = Throttle()
    strangers = [Attempt("password", f"{n}@hawser.example", f"203.0.113.{n}") for n in range(4)]
    with ExitStack() as busy:
        for each in strangers[:3]:
            busy.enter_context(throttle.room(each))
        with pytest.raises(TooManyAttemptsError), throttle.room(strangers[3]):
            pass
        with throttle.room(Attempt("password", ANN, THERE, device="known")):
            pass
    with throttle.room(strangers[3]):
        pass


def passed(throttle: Throttle, attempts: list[Attempt]) -> int:
    """Return how many attempts are let through."""
    done = 0
    for each in attempts:
        try:
            throttle.count(each)
        except TooManyAttemptsError:
            continue
        done += 1
    return done


def test_one_address_cannot_spray_over_all_accounts() -> None:
    sprayed = [Attempt("password", f"{n}@hawser.example", THERE) for n in range(200)]
    assert passed(Throttle(), sprayed) == 100


def test_one_account_cannot_be_tried_from_everywhere_except_by_its_own_browsers() -> None:
    throttle = Throttle()
    spread = [Attempt("password", ANN, f"203.0.{n}.1") for n in range(200)]
    assert passed(throttle, spread) == 100
    assert passed(throttle, [Attempt("password", ANN, THERE, device="known")]) == 1
    assert passed(throttle, [Attempt("password", "bob@hawser.example", ELSEWHERE)]) == 1


def test_no_spelling_of_an_address_is_counted_apart(app: Flask) -> None:
    people.make(app)
    stranger = Visitor(app.test_client())
    spellings = [ANN[:at] + "\0" + ANN[at:] for at in range(4)] + [f"\0 {ANN.upper()}", f"\t{ANN} "]
    assert [attempt(stranger, email=each).status_code for each in spellings].count(429) == 1


@pytest.mark.parametrize(("kind", "most"), [("password", 100), ("code", 30)])
def test_who_has_signed_in_with_many_browsers_tries_no_more(kind: str, most: int) -> None:
    throttle = Throttle()
    browsers = [Attempt(kind, ANN, THERE, device=f"browser {n}") for n in range(200)]
    assert passed(throttle, browsers) == most
    assert passed(throttle, [Attempt(kind, ANN, ELSEWHERE)]) == 1


def test_refused_attempts_are_news_once_a_minute_whatever_is_typed() -> None:
    throttle, news = Throttle(), 0
    for number in range(300):
        try:
            throttle.count(Attempt("password", f"{number}@hawser.example", THERE))
        except TooManyAttemptsError as refusal:
            news += refusal.is_news
    assert news == 1


def test_the_names_of_old_buckets_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.people.throttle.MOST_NAMES", 100)
    throttle = Throttle()
    with time_machine.travel(1_800_000_000.0, tick=False) as clock:
        for number in range(60):
            throttle.count(Attempt("password", f"{number}@hawser.example", THERE, f"d{number}"))
        clock.shift(301)
        throttle._storage._MemoryStorage__expire_events()  # type: ignore[attr-defined]
        throttle.count(Attempt("password", ANN, THERE))
        assert len(throttle._storage.events) < 10


def test_a_network_of_ipv6_addresses_is_one_address() -> None:
    spread = [Attempt("password", ANN, f"2001:db8:1:2::{n}") for n in range(1, 20)]
    assert passed(Throttle(), spread) == 5


def test_what_a_client_says_of_its_address_counts_only_behind_trusted_proxies(
    app: Flask,
) -> None:
    people.make(app)
    exhaust(app)
    visitor = Visitor(app.test_client())
    answer = visitor.client.post(
        "/login",
        data={"email": ANN, "password": "wrong", "csrf_token": visitor.token()},
        headers={"X-Forwarded-For": "192.0.2.44"},
        environ_base={"REMOTE_ADDR": THERE},
    )
    assert answer.status_code == 429


def test_a_device_cookie_of_another_account_or_made_up_helps_nobody(app: Flask) -> None:
    people.make(app)
    people.make(app, "viewer", "eve@hawser.example")
    eve = Visitor(app.test_client())
    assert attempt(eve, PASSWORD, email="eve@hawser.example").status_code == 302
    eve.post("/logout")
    exhaust(app)
    assert attempt(eve, PASSWORD).status_code == 429
    eve.client.set_cookie("hawser-device", "e30.made.up")
    assert attempt(eve, PASSWORD).status_code == 429


def test_an_unknown_account_takes_as_long_as_a_known_one(app: Flask) -> None:
    # A hash that takes long enough to be seen.
    app.extensions["security"].pwd_context.update(argon2__rounds=2, argon2__memory_cost=8192)
    people.make(app)
    spent: dict[str, list[float]] = {ANN: [], "nobody@hawser.example": []}
    visitor = Visitor(app.test_client())
    for number in range(8):
        for email, times in spent.items():
            started = time.perf_counter()
            attempt(visitor, email=email, address=f"203.0.113.{number}")
            times.append(time.perf_counter() - started)
    known, unknown = (statistics.median(times) for times in spent.values())
    assert 0.5 < known / unknown < 2


def test_no_address_or_password_makes_a_500(app: Flask) -> None:
    people.make(app)
    visitor = Visitor(app.test_client())
    told = {"X-CSRFToken": visitor.token(), "Accept": "application/json"}
    emails = ["x" * 30_000, "a\x00b", "\u202egnp.exe", "\ud800@x", 5, None, [ANN], {"a": 1}]
    passwords = ["y" * 30_000, "a\x00b", "\u202e", "\ud800", 5, None, ["x"]]
    for email, password in itertools.product([*emails, ANN], passwords):
        body = {"email": email, "password": password}
        answer = visitor.client.post("/login", json=body, headers=told)
        assert answer.status_code in (400, 429), body


def test_what_was_typed_is_cut_in_the_audit_log_and_holds_no_password(
    app: Flask, engine: Engine
) -> None:
    attempt(Visitor(app.test_client()), "canary-typed", email="n" * 900)
    assert people.one(engine, "select length(subject_name) from audit_entry") == 200
    assert people.one(engine, "select changes from audit_entry") == (
        '{"reason": [null, "no such account"]}'
    )
