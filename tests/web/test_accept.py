"""JSON or a page: what is asked for, as HTTP says."""

from __future__ import annotations

import pytest

from tests.web.conftest import Visitor
from tests.worker.service.worker import ONE_DATABASE

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@ONE_DATABASE
@pytest.mark.parametrize(
    ("accept", "is_json"),
    [
        ("application/json", True),
        ("application/json, text/plain, */*", True),
        ("Application/JSON; q=0.9, text/html; q=0.5", True),
        ("application/*", True),
        ("application/json;q=0, */*", False),
        ("application/json;q=0.5, text/html", False),
        ("*/*", False),
        ("", False),
        (BROWSER, False),
        ("no type at all", False),
    ],
)
def test_json_is_for_whom_it_is_named_or_preferred(
    anonymous: Visitor, operator: Visitor, accept: str, is_json: bool
) -> None:
    headers = {"Accept": accept}
    assert operator.get("/admin/nowhere", headers=headers).is_json == is_json
    # Who is not signed in is sent to the door, or told so.
    door = anonymous.get("/admin/", headers=headers)
    assert (door.status_code, door.is_json) == ((401, True) if is_json else (302, False))


@ONE_DATABASE
@pytest.mark.parametrize(
    ("accept", "mimetype"),
    [
        ("application/health+json", "application/health+json"),
        ("application/json, application/health+json", "application/health+json"),
        ("application/health+json;q=0.1, application/json", "application/json"),
        ("application/health+json;q=0", "application/json"),
        ("*/*", "application/json"),
    ],
)
def test_health_has_a_media_type_of_its_own_for_who_names_it(
    anonymous: Visitor, accept: str, mimetype: str
) -> None:
    assert anonymous.get("/readyz", headers={"Accept": accept}).mimetype == mimetype
