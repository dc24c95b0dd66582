"""A cookie of browsers that have signed in before: it opens nothing, it only tells them apart.

Whoever has it tries passwords from a bucket of its own (`throttle`), so strangers who try
passwords on the same account cannot keep its owner out.
"""

from __future__ import annotations

import hashlib
import secrets

from flask import Response, current_app, request
from itsdangerous import BadData, URLSafeTimedSerializer

from webapp.front import cookies

NAME = "hawser-device"
#: How long a browser is known, seconds.
KNOWN_S = 365 * 24 * 3600
#: Accounts that one browser is known to.
MOST_ACCOUNTS = 5
_NONCE_BYTES = 12


def known_as(account: str) -> str | None:
    """Return what this browser is called by an account that signed in here, else None."""
    return _read().get(_key(account))


def remember(answer: Response, account: str) -> Response:
    """Let this browser be known to an account from now on."""
    known = _read()
    nonce = known.pop(_key(account), None) or secrets.token_urlsafe(_NONCE_BYTES)
    kept = dict([*known.items()][-(MOST_ACCOUNTS - 1) :]) | {_key(account): nonce}
    answer.set_cookie(_name(), _serializer().dumps(kept), max_age=KNOWN_S, **cookies.flags())
    return answer


def _read() -> dict[str, str]:
    try:
        found = _serializer().loads(request.cookies.get(_name(), ""), max_age=KNOWN_S)
    except BadData:
        return {}
    return found if isinstance(found, dict) else {}


def _name() -> str:
    return cookies.full_name(NAME)


def _key(account: str) -> str:
    return hashlib.sha256(account.encode("utf-8", "replace")).hexdigest()[:16]


def _serializer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(str(current_app.secret_key), salt=NAME)
