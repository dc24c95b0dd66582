"""What gunicorn answers by itself to a request that is none: in our words, with our headers."""

from __future__ import annotations

import html
from functools import cache
from typing import Any

import gunicorn.util

from webapp.front.headers import HEADERS
from webapp.wording import texts


def answer_in_our_words() -> None:
    """Replace gunicorn's own page, which repeats what it could not read."""
    gunicorn.util.write_error = _write


def _write(sock: Any, status: int, reason: str, _detail: str) -> None:
    gunicorn.util.write_nonblock(sock, answer(status, reason))


@cache
def answer(status: int, reason: str) -> bytes:
    """Return a whole HTTP answer after which the connection ends."""
    title = texts.ERROR_TITLES.get(status, reason)
    told = texts.UNEXPECTED if status >= 500 else texts.HTTP_ERRORS.get(status)
    sentence = told or texts.HTTP_ERRORS[400]
    body = _PAGE.format(title=html.escape(title), sentence=html.escape(sentence)).encode()
    headers = {
        **HEADERS,
        "Cache-Control": "no-store",
        "Connection": "close",
        "Content-Length": str(len(body)),
        "Content-Type": "text/html; charset=utf-8",
    }
    lines = [
        f"HTTP/1.1 {status} {reason}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{title} · Hawser</title></head>
<body><main><h1>{title}</h1><p>{sentence}</p></main></body>
</html>
"""
