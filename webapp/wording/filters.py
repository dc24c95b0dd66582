"""What every template may use: states as words, times, the version, who is asking."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask import Flask
from flask_security import current_user
from markupsafe import Markup

from database import reasons
from database.version import VERSION
from webapp.connections import detection
from webapp.front import back, cookies
from webapp.messages import shown
from webapp.people import accounts
from webapp.picture import health_body
from webapp.wording import clock, looks, texts
from webapp.wording.language import digits, in_words


def configure(app: Flask) -> None:
    """Add filters and variables to Jinja."""
    app.jinja_env.filters.update(
        tone=tone,
        icon=icon,
        word=texts.state_word,
        worker_word=texts.worker_word,
        iso=health_body.timestamp,
        plain_time=plain_time,
        short_time=short_time,
        milliseconds=milliseconds,
        breakable=breakable,
        visible=shown.visible,
        payload_preview=shown.preview,
        dead_topic=shown.dead_topic,
        size_words=shown.size_words,
        duration=texts.duration,
        number=texts.number,
        digits=digits,
    )
    app.jinja_env.globals.update(
        version=VERSION,
        product=texts.PRODUCT,
        texts=texts,
        code=code,
        explain=explain,
        detection=detection,
        next_step=next_step,
        may_edit=accounts.may_edit,
        own_choice=looks.chosen,
        clock=clock,
        zone_cookie=lambda: cookies.full_name("hawser-zone"),
        this_page=back.this_page,
        may_administer=accounts.may_administer,
        account=lambda: str(current_user.email),
    )


def code(text: str) -> Markup:
    """Return what is typed or set, such as the name of a setting, to stand in a sentence."""
    return Markup("<code>{}</code>").format(text)


def explain(code: str, detail: Mapping[str, Any] | None = None) -> str:
    """Return the sentence of a reason in the language of the page."""
    return in_words(reasons.explain(code, clock.in_detail(detail)))


def next_step(code: str) -> str:
    """Return what can be done about a reason in the language of the page."""
    return in_words(reasons.next_step(code))


def tone(state: str) -> str:
    """Return the colour family of a state."""
    return texts.STATES.get(state, ("", "?", "off"))[2]


def icon(state: str) -> str:
    """Return the sign that stands beside the word of a state."""
    return texts.STATES.get(state, ("", "?", "off"))[1]


def plain_time(moment: datetime | None) -> Any:
    """Return a time with its date and zone."""
    return clock.full(moment) if moment else texts.NOTHING


def short_time(moment: datetime) -> str:
    """Return a time as it stands under a ribbon."""
    return texts.moment(moment)


def breakable(host: Any) -> Markup:
    """Return a host name that breaks before its dots where the line is too short."""
    return Markup("<wbr>.").join(str(host).split("."))


def milliseconds(value: Any) -> str:
    """Return a short time; plain SQL may have written anything there."""
    return f"{digits(f'{value:.1f}')} ms" if isinstance(value, int | float) else str(value)
