"""The library's pages of sign-in, with an answer for too many attempts around them."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import (
    Flask,
    flash,
    jsonify,
    make_response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_security import current_user

from webapp.front import accepts
from webapp.people.throttle import TooManyAttemptsError
from webapp.settings import MIN_PASSWORD_CHARACTERS

#: How long a right password waits for its code, seconds.
CODE_WITHIN = 600
_SINCE = "tf_since"
#: The pages that test something, and the template of each.
THROTTLED = {
    "security.login": "security/login_user.html",
    "security.change_password": "security/change_password.html",
    "security.two_factor_token_validation": "security/two_factor_verify_code.html",
    "security.mf_recovery": "security/mf_recovery.html",
}
SECOND_STEP = ("security.two_factor_token_validation", "security.mf_recovery")


def configure(app: Flask) -> None:
    """Put ourselves around the library's pages."""
    app.jinja_env.globals["min_password"] = MIN_PASSWORD_CHARACTERS
    for endpoint in SECOND_STEP:
        app.view_functions[endpoint] = _only_soon(app.view_functions[endpoint])
    for endpoint, template in THROTTLED.items():
        app.view_functions[endpoint] = _throttled(app.view_functions[endpoint], template)
    login = app.view_functions["security.login"]
    app.view_functions["security.login"] = _starting_the_clock(login)


def waiting(seconds: int) -> str:
    """Say how long to wait; the same for accounts that exist and for others."""
    if seconds < 60:
        wait = ngettext("%(num)s second", "%(num)s seconds", seconds)
    else:
        wait = ngettext("%(num)s minute", "%(num)s minutes", -(-seconds // 60))
    return str(_("Too many attempts. Wait %(time)s, then try again.", time=wait))


def wants_json() -> bool:
    """Whether a program asks, not somebody at a browser."""
    return request.is_json or accepts.json_first()


def too_many(refusal: TooManyAttemptsError, template: str, **values: Any) -> Any:
    """Answer 429, with the wait for programs and for people."""
    sentence = waiting(refusal.wait)
    if wants_json():
        body = {"meta": {"code": 429}, "response": {"errors": [sentence]}}
        answer = jsonify(status=429, error=sentence, sentence=sentence, **body)
    else:
        answer = make_response(render_template(template, problem=sentence, **values))
    answer.headers["Retry-After"] = str(refusal.wait)
    return answer, 429


def _throttled(view: Callable[..., Any], template: str) -> Callable[..., Any]:
    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            return view(*args, **kwargs)
        except TooManyAttemptsError as refusal:
            return too_many(refusal, template)

    return guarded


def _only_soon(view: Callable[..., Any]) -> Callable[..., Any]:
    """Let the second step follow the first one, within minutes, and only where there is one."""

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if current_user.is_authenticated:
            return redirect(url_for("admin.index"))
        if time.time() - session.get(_SINCE, 0) > CODE_WITHIN:
            session.pop("tf_state", None)
            session.pop("tf_user_id", None)
            if not wants_json():
                flash(_("Sign in with your password first."), "error")
                return redirect(url_for("security.login"))
        return view(*args, **kwargs)

    return guarded


def _starting_the_clock(view: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        answer = view(*args, **kwargs)
        if "tf_user_id" in session:
            session[_SINCE] = int(time.time())
        return answer

    return guarded
