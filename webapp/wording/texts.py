"""The words that people read, in one place, in the language of the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from flask_babel import gettext, ngettext

from database.words import ConnectionState as S
from database.words import WorkerState as W
from webapp.wording import clock
from webapp.wording.language import digits, percent_sign
from webapp.wording.lazy import lazy_gettext as _

PRODUCT = "Hawser"
#: Stands where there is nothing to show.
NOTHING = "\N{EN DASH}"

#: How each state is shown: (word, icon, tone). Word and icon always, never colour alone.
STATES: dict[str, tuple[Any, str, str]] = {
    S.CONNECTED: (_("connected"), "✓", "good"),
    S.DEGRADED: (_("degraded"), "▲", "warn"),
    S.CONNECTING: (_("connecting"), "…", "warn"),
    S.PENDING: (_("pending"), "◷", "warn"),
    S.BACKOFF: (_("retrying"), "↻", "warn"),
    S.STOPPING: (_("stopping"), "◼", "warn"),
    S.COOLDOWN: (_("cooldown"), "‖", "bad"),
    S.REFUSED: (_("refused"), "✕", "bad"),
    S.CONFIG_ERROR: (_("config error"), "!", "bad"),
    S.UNKNOWN: (_("unknown"), "?", "off"),
    S.DISABLED: (_("disabled"), NOTHING, "off"),
}
#: Worst first, as the dashboard sorts.
WORST_FIRST = (
    S.CONFIG_ERROR,
    S.REFUSED,
    S.COOLDOWN,
    S.BACKOFF,
    S.DEGRADED,
    S.UNKNOWN,
    S.CONNECTING,
    S.PENDING,
    S.STOPPING,
    S.CONNECTED,
    S.DISABLED,
)
_RANKS: dict[str, int] = {state: place for place, state in enumerate(WORST_FIRST)}

#: What a worker says of itself.
WORKER_STATES: dict[str, Any] = {
    W.STARTING: _("starting"),
    W.RUNNING: _("running"),
    W.STANDBY: _("standby"),
    W.STOPPING: _("stopping"),
    W.STOPPED: _("stopped"),
}

FORM_EXPIRED = _(
    "This page was open too long, or your session ended. Go back, reload the page and send it "
    "again; nothing was changed."
)
NOT_READY = _("Hawser cannot reach its data at the moment; the connections are not affected.")
UNEXPECTED = _("Something went wrong on our side. The log of the web process says what.")
HTTP_ERRORS = {
    400: _("The request could not be understood."),
    401: _("Sign in first."),
    403: _("The role of your account does not allow this. Ask an administrator for another one."),
    404: _("There is no such page."),
    413: _(
        "This is more than Hawser takes at once: 4 MiB for a connection, an import or a message, "
        "64 KiB for any other form."
    ),
    405: _("This address does not take that kind of request."),
    414: _("The address of this request is too long."),
    429: _("Too many requests: wait a moment and try again."),
    431: _("The request carries more headers than Hawser reads."),
}
ERROR_TITLES = {
    400: _("Nothing was changed"),
    401: _("Sign in"),
    403: _("Not allowed"),
    404: _("Not found"),
    405: _("Not possible"),
    413: _("Too much"),
    414: _("Too long"),
    429: _("Too often"),
    431: _("Too much"),
    500: _("Something went wrong"),
    503: _("Not ready"),
}

CONFLICT = _(
    "Somebody else changed this record while you were editing it. Your changes are not saved. "
    "Open the record again to see the other change, then repeat yours."
)
INCOMPLETE = _(
    "A part of this form did not arrive, so nothing was saved: open the record again and repeat "
    "your changes."
)
DATABASE_BUSY = _(
    "The database could not take this just now. Nothing was changed, and what you entered is "
    "still here: send it again in a moment."
)
RECORD_GONE = _("This connection no longer exists.")
NOT_SAVED = _("Not saved: please correct the marked fields.")
NOT_TESTED = _("Not tested: please correct the marked fields.")
NOT_PUBLISHED = _("Not sent: please correct the marked fields.")
NOTHING_TO_ASK = _("The worker runs only enabled connections: enable the selected ones first.")
NAME_TAKEN = _("Another connection already has this name.")
ASK_AGAIN = _(
    "Nothing was changed, as the list of what matched did not arrive: look at what matches now and "
    "choose again."
)
NOTHING_SELECTED = _("Select at least one connection first.")


def same_client_id(other: str, client_id: str) -> str:
    """Two records that would push each other out."""
    return str(
        gettext(
            "Connection “%(name)s” already uses client id %(client_id)s on this host and port; "
            "the broker would close one for the other. Use another client id or site.",
            name=other,
            client_id=client_id,
        )
    )


def sentence(text: str) -> str:
    """Return `text` with a capital and a full stop."""
    stripped = text.strip().rstrip(".")
    return f"{stripped[:1].upper()}{stripped[1:]}." if stripped else ""


def number(value: float) -> str:
    """Return a whole number with separators."""
    return digits(f"{value:,.0f}")


def count(value: int, noun: str) -> str:
    """`1 connection`, `2 connections`; `noun` is one of those below."""
    shown = number(value)
    match noun:
        case "connection":
            words = ngettext("%(number)s connection", "%(number)s connections", value, number=shown)
        case "enabled connection":
            words = ngettext(
                "%(number)s enabled connection",
                "%(number)s enabled connections",
                value,
                number=shown,
            )
        case "disabled one":
            words = ngettext(
                "%(number)s disabled one", "%(number)s disabled ones", value, number=shown
            )
        case "message":
            words = ngettext("%(number)s message", "%(number)s messages", value, number=shown)
        case "failure":
            words = ngettext("%(number)s failure", "%(number)s failures", value, number=shown)
        case "day":
            words = ngettext("%(number)s day", "%(number)s days", value, number=shown)
        case "hour":
            words = ngettext("%(number)s hour", "%(number)s hours", value, number=shown)
        case _:
            raise ValueError(noun)
    return str(words)


def percent(value: float) -> str:
    """Return a percentage; anything short of everything is less than 100%."""
    shown = "100" if value >= 100 else digits(f"{math.floor(value * 100) / 100:.2f}")
    return shown + percent_sign()


def size(number: float) -> str:
    """Return a number of bytes in its largest unit: `512 B`, `12.3 kB`, `1.2 GB`."""
    if number < 999.5:
        return f"{number:.0f} B"
    for unit in ("kB", "MB", "GB", "TB"):
        number /= 1000
        if number < 999.5 or unit == "TB":
            break
    return f"{_short(number)} {unit}"


def rate(number: float, seconds: int) -> str:
    """Return how often `number` within `seconds` is: `12.3/s`, `4/min`, `7 in 15 min`.

    What is rarer than once a second is told as it was counted: a rate an hour would say more.
    """
    if number >= seconds:
        return f"{_short(number / seconds)}/s"
    whole = digits(f"{max(1, round(number)):,}")
    if seconds == 60:
        return f"{whole}/min"
    return str(gettext("%(number)s in %(time)s", number=whole, time=duration(seconds)))


def _short(number: float) -> str:
    """Return a number of about three digits."""
    if number >= 99.95:
        return digits(f"{number:,.0f}")
    return digits(f"{number:.1f}".removesuffix(".0"))


def duration(seconds: float) -> str:
    """Return a length of time in its two largest units: `3 d 4 h`, `12 min 5 s`."""
    if seconds < 1:
        return str(gettext("less than 1 s"))
    # The only unit that differs between languages.
    left, day = round(seconds), gettext("d")
    words = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        number, left = divmod(left, size)
        if number:
            words.append(f"{number} {day if unit == 'd' else unit}")
        elif words:
            break
    return " ".join(words[:2])


def expiry(seconds: float) -> str:
    """Return when something expires or expired: in days, in hours when it is near."""
    size, noun = (3_600, "hour") if abs(seconds) < 2 * 86_400 else (86_400, "day")
    number = int(abs(seconds) // size)
    length = count(number, noun) if number else gettext("less than 1 hour")
    if seconds > 0:
        return str(gettext("in %(length)s", length=length))
    return str(gettext("expired %(length)s ago", length=length))


def named(names: Sequence[str]) -> str:
    """Return a few of `names` and the number of the others."""
    shown = ", ".join(f"“{name}”" for name in names[:5])
    if len(names) <= 5:
        return shown
    return str(gettext("%(names)s and %(number)s more", names=shown, number=number(len(names) - 5)))


def moment(when: datetime) -> str:
    """Return a time as it stands in titles and under pictures."""
    return clock.brief(when)


def worker_word(state: str) -> str:
    """Return the word for the state of a worker."""
    return str(WORKER_STATES.get(state, state))


def rank(state: str) -> int:
    """Return how early `state` comes where the worst is shown first."""
    return _RANKS.get(state, 0)


def state_word(state: str) -> str:
    """Return the word for `state`; one that this version does not know is shown as it is."""
    return str(STATES.get(state, (state.replace("_", " "), "?", "off"))[0])
