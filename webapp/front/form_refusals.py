"""Why a form was refused: too old, or sent from another host than it reached.

Over HTTPS a form must come from a page of the host that it is sent to. A proxy that passes on
another host than the browser's makes that fail for everybody, and looks like an old page.
"""

from __future__ import annotations

import time
from urllib.parse import SplitResult, urlsplit

import structlog
from flask import Flask, current_app, request
from flask_babel import gettext as _

from database.visible import one_line
from webapp.wording import texts
from webapp.wording.lazy import lazy_gettext

log = structlog.get_logger(__name__)
#: Longest host that is repeated to people and in the log, characters.
_LONGEST_HOST = 100
#: The log gets one line in so many seconds: whoever sends forms decides how many are wrong.
_LOG_EVERY_S = 60.0
_DEFAULT_PORTS = {"http": 80, "https": 443}
_NO_REFERER = lazy_gettext(
    "The browser did not say which page sent this form (Referer), which Hawser needs over HTTPS. "
    "Allow it for this site and send the form again; nothing was changed."
)
_NO_HTTPS = lazy_gettext(
    "Hawser keeps you signed in over HTTPS only, and this page came without it. Open it with "
    "https://, or set HAWSER_COOKIE_SECURE=no; nothing was changed."
)


class _LogLimit:
    """When this application may log the next refusal."""

    next_at = 0.0


def configure(app: Flask) -> None:
    """Forget what has been logged."""
    app.extensions["hawser-form-refusals"] = _LogLimit()


def sentence() -> str:
    """Return why a form was refused, and tell the log where a proxy is the reason."""
    page = _page()
    if page is not None and not _is_here(page):
        _log_once(page)
        return _lost_host(page)
    if request.is_secure and not request.referrer:
        return str(_NO_REFERER)
    if page is not None and page.scheme == "http" and current_app.config["SESSION_COOKIE_SECURE"]:
        return str(_NO_HTTPS)
    return str(texts.FORM_EXPIRED)


def _page() -> SplitResult | None:
    """Return the address that the browser names as the page of the form."""
    for told in (request.referrer, request.origin):
        try:
            found = urlsplit(told or "")
            found.port  # noqa: B018 - raises where it is none
        except ValueError:
            continue
        if found.scheme in _DEFAULT_PORTS and found.hostname:
            return found
    return None


def _is_here(page: SplitResult) -> bool:
    """Whether a page is of the host, and over HTTPS of the port, that its form reached."""
    here = urlsplit(f"{request.scheme}://{request.host}")
    if page.hostname != here.hostname:
        return False
    return not request.is_secure or (page.scheme == "https" and _port(page) == _port(here))


def _port(address: SplitResult) -> int | None:
    return address.port or _DEFAULT_PORTS.get(address.scheme)


def _lost_host(page: SplitResult) -> str:
    told = {
        "browser": _shown(f"{page.scheme}://{page.netloc}"),
        "here": _shown(f"{request.scheme}://{request.host}"),
        "variable": _nginx_variable(page),
    }
    return str(
        _(
            "This form was sent from a page of %(browser)s but reached Hawser as one for %(here)s; "
            "nothing was changed. If %(browser)s is the address of Hawser, the proxy in front of "
            "it loses the host: it must pass on Host and X-Forwarded-Proto (nginx: "
            "proxy_set_header Host %(variable)s; proxy_set_header X-Forwarded-Proto $scheme;).",
            **told,
        )
    )


def _nginx_variable(page: SplitResult) -> str:
    """Return what holds the host in nginx; only one of the two keeps a port."""
    return "$host" if _port(page) == _DEFAULT_PORTS[page.scheme] else "$http_host"


def _shown(address: str) -> str:
    # Whoever puts a password into an address does not get it repeated.
    scheme, _sep, host = address.partition("://")
    return one_line(f"{scheme}://{host.rpartition('@')[2]}", _LONGEST_HOST)


def _log_once(page: SplitResult) -> None:
    limit: _LogLimit = current_app.extensions["hawser-form-refusals"]
    if time.monotonic() < limit.next_at:
        return
    limit.next_at = time.monotonic() + _LOG_EVERY_S
    log.warning(
        "a form was refused: the browser and the proxy name different hosts; "
        "the proxy must pass on Host and X-Forwarded-Proto",
        browser=_shown(f"{page.scheme}://{page.netloc}"),
        proxy=_shown(f"{request.scheme}://{request.host}"),
    )
