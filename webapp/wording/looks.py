"""What one browser was told to look like: small choices in cookies, which say nothing of who."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Response, has_request_context, request

from webapp.front import cookies

#: How long a browser remembers a choice.
REMEMBERED = timedelta(days=400)


def chosen(name: str) -> str | None:
    """Return what this browser chose, None where it chose nothing."""
    return request.cookies.get(_cookie(name)) if has_request_context() else None


def keep(answer: Response | Any, name: str, value: str) -> None:
    """Let the browser remember a choice."""
    answer.set_cookie(_cookie(name), value, max_age=REMEMBERED, **cookies.flags())


def forget(answer: Response | Any, name: str) -> None:
    """Let the browser forget a choice."""
    answer.delete_cookie(_cookie(name), **cookies.flags())


def _cookie(name: str) -> str:
    return cookies.full_name(f"hawser-{name}")
