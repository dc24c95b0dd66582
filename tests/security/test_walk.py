"""A walk over everything that the application answers: who gets in, and what a look changes."""

from __future__ import annotations

import itertools

import pytest
from werkzeug.test import TestResponse

from tests.security.conftest import MakeSite
from tests.security.site import Address, Caller, Site
from webapp.front import unused

#: What anybody may ask without an account; everything else is closed.
OPEN = {
    "static",
    "health.livez",
    "health.readyz",
    "health.health",
    "security.login",
    # The second step of signing in, which leads to the first one where that is missing.
    "security.two_factor_token_validation",
    "security.mf_recovery",
}
#: What changes only the caller's own account or browser.
OWN = {
    "security.login",
    "security.logout",
    "security.change_password",
    "security.two_factor_token_validation",
    "security.mf_recovery",
    "language",
    "help.look_view",
}
#: The rooms that only administrators enter.
FOR_ADMINISTRATORS = {"audit", "people"}
#: The rooms that a viewer does not even see: what was published may hold anything.
FOR_EDITORS = {"publish"}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
#: What no page takes.
ODD_METHODS = ("DELETE", "TRACE", "HACK")
SAFE = ("GET", "HEAD", "OPTIONS")


def room(address: Address) -> str:
    return address.endpoint.partition(".")[0]


def ask(caller: Caller, address: Address, **options: object) -> TestResponse:
    options.setdefault("buffered", True)
    return caller.client.open(address.path, method=address.method, **options)  # type: ignore[arg-type]


def sends_to_login(answer: TestResponse) -> bool:
    return answer.status_code == 302 and answer.location.startswith("/login")


def doors(site: Site, method: str) -> list[Address]:
    """Return what takes a method and is not closed to everybody."""
    return [found for found in site.addresses(method) if found.endpoint not in unused.CLOSED]


def test_nothing_is_open_to_strangers_but_the_list(site: Site) -> None:
    stranger = site.client()
    walked = set()
    for address in itertools.chain.from_iterable(map(site.addresses, METHODS)):
        if address.endpoint in OPEN:
            continue
        answer = ask(stranger, address, data={"csrf_token": stranger.token})
        is_closed = answer.status_code == 401 or sends_to_login(answer)
        is_nothing = answer.status_code == 404 or not answer.data
        is_nothing = is_nothing and address.endpoint in unused.CLOSED
        assert is_closed or is_nothing, f"{address}: {answer.status}"
        walked.add(address.endpoint)
    assert walked == {rule.endpoint for rule in site.rules()} - OPEN


def test_every_open_address_is_there(site: Site) -> None:
    endpoints = {rule.endpoint for rule in site.rules()}
    assert endpoints >= OPEN
    assert not OPEN & set(unused.CLOSED)
    assert endpoints >= set(unused.CLOSED)


def test_what_nobody_uses_is_closed_to_administrators_too(site: Site) -> None:
    caller = site.client("admin")
    for method in ("GET", "POST"):
        for address in site.addresses(method):
            if address.endpoint in unused.CLOSED:
                answer = ask(caller, address, data={"csrf_token": caller.token})
                assert answer.status_code == 404, address


def test_methods_that_no_page_takes_are_405(site: Site) -> None:
    caller = site.client("admin")
    paths = {a.path for method in METHODS for a in site.addresses(method)}
    for path, method in itertools.product(paths, ODD_METHODS):
        assert ask(caller, Address("", method, path)).status_code == 405, (method, path)


def test_a_viewer_changes_nothing_but_their_own_account(site: Site) -> None:
    viewer = site.client("viewer")
    token = viewer.token
    before = site.dump()
    walked = [address for address in doors(site, "POST") if address.endpoint not in OWN]
    walked = [address for address in walked if room(address) != "account"]
    for address in walked:
        data = {"csrf_token": token, "id": "1", "rowid": "1", "action": "delete"}
        assert ask(viewer, address, data=data).status_code == 403, address
    assert len(walked) >= 7
    assert site.dump() == before


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_the_rooms_of_administrators_are_closed_to_others(site: Site, role: str) -> None:
    caller = site.client(role)
    closed = FOR_ADMINISTRATORS | (FOR_EDITORS if role == "viewer" else set())
    walked = set()
    for address in (*doors(site, "GET"), *doors(site, "POST")):
        if room(address) in closed:
            answer = ask(caller, address, data={"csrf_token": caller.token})
            assert answer.status_code == 403, address
            walked.add(room(address))
    assert walked == closed


def test_a_post_without_the_token_of_its_session_is_refused_and_changes_nothing(
    site: Site,
) -> None:
    caller, other = site.client("admin"), site.client("admin")
    tokens = {"none": None, "of another session": other.token, "made up": "x", "empty": ""}
    assert caller.token
    before = site.dump()
    for address, (_, token) in itertools.product(doors(site, "POST"), tokens.items()):
        data = {"id": "1", "rowid": "1", "action": "delete", "language": "en"}
        answer = ask(caller, address, data=data | ({} if token is None else {"csrf_token": token}))
        assert answer.status_code == 400, (address, token)
        assert "nothing was changed" in answer.text
    assert site.dump() == before
    assert caller.get("/admin/").status_code == 200


def test_a_post_in_json_needs_the_token_too(site: Site) -> None:
    caller = site.client("admin")
    before = site.dump()
    for address in doors(site, "POST"):
        assert ask(caller, address, json={"id": 1, "action": "delete"}).status_code == 400, address
    assert site.dump() == before


def test_no_look_changes_anything(make_site: MakeSite) -> None:
    site = make_site()
    caller = site.client("admin")
    assert caller.token
    before = site.dump()
    queries = ("", "?id=1", "?id=1&action=delete&kind=reconnect&rowid=1&url=/")
    for method in SAFE:
        for address, query in itertools.product(doors(site, method), queries):
            if method == "GET" or query == queries[2]:
                look = Address(address.endpoint, method, address.path + query)
                assert ask(caller, look).status_code < 500 or room(look) == "health", look
    after = site.dump()
    assert {name: after[name] for name in before if after[name] != before[name]} == {}
    assert {name for name, rows in before.items() if not rows} == set()
