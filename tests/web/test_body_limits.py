"""A body is small and has few fields, but for the forms that need more; nobody's is read first."""

from __future__ import annotations

import io
from typing import Any

import pytest

from tests.web.conftest import Visitor
from webapp.front.body_limits import MAX_BYTES, MAX_FIELDS, MAX_LARGE_FIELDS

FORM = "application/x-www-form-urlencoded"
NEW = "/admin/connections/new/"


class Untouchable(io.BytesIO):
    """A body that nobody may read."""

    def read(self, *_arguments: Any) -> bytes:
        pytest.fail("the body was read")

    readline = readinto = read  # type: ignore[assignment]


def fields(number: int) -> str:
    return "&".join("a" for _ in range(number))


@pytest.mark.parametrize("path", [NEW, "/admin/connections/import", "/admin/publish/send"])
def test_the_door_stands_before_the_body(anonymous: Visitor, path: str) -> None:
    options = {"CONTENT_LENGTH": "5000", "CONTENT_TYPE": FORM}
    answer = anonymous.client.post(path, input_stream=Untouchable(), environ_overrides=options)
    assert answer.status_code in (401, 404)


@pytest.mark.parametrize(
    "body", [fields(MAX_FIELDS + 1), "a" * (MAX_BYTES + 1)], ids=["fields", "bytes"]
)
def test_a_stranger_sends_little(anonymous: Visitor, body: str) -> None:
    assert anonymous.client.post("/login", data=body, content_type=FORM).status_code == 413
    less = anonymous.client.post("/login", data=fields(MAX_FIELDS), content_type=FORM)
    assert less.status_code == 400


def test_parts_of_a_form_are_counted_too(anonymous: Visitor) -> None:
    data = {f"field-{number}": "" for number in range(MAX_FIELDS + 1)}
    answer = anonymous.client.post("/login", data=data, content_type="multipart/form-data")
    assert answer.status_code == 413


def test_forms_that_need_it_take_more(operator: Visitor) -> None:
    # Without the token of a form all are refused, after they were read.
    more = fields(MAX_FIELDS + 1)
    assert operator.client.post(NEW, data=more, content_type=FORM).status_code == 400
    too_much = fields(MAX_LARGE_FIELDS + 1)
    assert operator.client.post(NEW, data=too_much, content_type=FORM).status_code == 413
    assert operator.client.post("/language", data=more, content_type=FORM).status_code == 413
