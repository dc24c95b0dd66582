"""The address of a client as one text, however a proxy or a socket writes it.

`1.2.3.4:5678`, `[::1]:443`, `"[::1]"` and `::ffff:1.2.3.4` name one client each: nobody gets
a count of attempts of their own for another port, and the audit log shows the address only.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Any

from flask import Flask

_BRACKETED = re.compile(r"\[(.+)\](?::\d*)?")
_WITH_PORT = re.compile(r"(.+):\d*")
#: Longest text that is kept of what is no address.
MOST_CHARACTERS = 100


class ClientAddress:
    """WSGI middleware within the one that trusts proxies; rewrites REMOTE_ADDR."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ["REMOTE_ADDR"] = plain(environ.get("REMOTE_ADDR", ""))
        answer: Iterable[bytes] = self._app(environ, start_response)
        return answer


def configure(app: Flask) -> None:
    """Rewrite the address of every request; call it before what trusts proxies."""
    app.wsgi_app = ClientAddress(app.wsgi_app)  # type: ignore[method-assign]


def plain(text: str) -> str:
    """Return the address in `text` without port, brackets, quotes and zone; else the text."""
    bare = text.strip(' \t"')
    bracketed, with_port = _BRACKETED.fullmatch(bare), _WITH_PORT.fullmatch(bare)
    candidates = [bracketed and bracketed[1], bare, with_port and with_port[1]]
    found = (_address(each) for each in candidates if each)
    return next(filter(None, found), bare[:MOST_CHARACTERS])


def _address(text: str) -> str | None:
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return str(getattr(found, "ipv4_mapped", None) or found)
