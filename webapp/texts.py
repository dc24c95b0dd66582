"""The words that people read, in one place. Standard library and stored words only."""

from __future__ import annotations

import math
from collections.abc import Sequence

from database.words import ConnectionState as S

PRODUCT = "Hawser"
#: Stands where there is nothing to show.
NOTHING = "\N{EN DASH}"

#: How each state is shown: (word, icon, tone). Word and icon always, never colour alone.
STATES: dict[str, tuple[str, str, str]] = {
    S.CONNECTED: ("connected", "✓", "good"),
    S.DEGRADED: ("degraded", "▲", "warn"),
    S.CONNECTING: ("connecting", "…", "warn"),
    S.PENDING: ("pending", "◷", "warn"),
    S.BACKOFF: ("retrying", "↻", "warn"),
    S.STOPPING: ("stopping", "◼", "warn"),
    S.COOLDOWN: ("cooldown", "‖", "bad"),
    S.REFUSED: ("refused", "✕", "bad"),
    S.CONFIG_ERROR: ("config error", "!", "bad"),
    S.UNKNOWN: ("unknown", "?", "off"),
    S.DISABLED: ("disabled", NOTHING, "off"),
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

FORM_EXPIRED = (
    "This page was open too long, or your session ended. Go back, reload the page and send it "
    "again; nothing was changed."
)
NOT_READY = "Hawser cannot reach its data at the moment; the connections are not affected."
UNEXPECTED = "Something went wrong on our side. The log of the web process says what."
HTTP_ERRORS = {
    400: "The request could not be understood.",
    401: "Sign in first.",
    403: "Your account may read, not change. Ask an administrator for the role operator.",
    404: "There is no such page.",
    413: "This is more than Hawser takes at once (4 MiB).",
    405: "This address does not take that kind of request.",
    414: "The address of this request is too long.",
    429: "Too many requests: wait a moment and try again.",
    431: "The request carries more headers than Hawser reads.",
}
ERROR_TITLES = {
    400: "Nothing was changed",
    401: "Sign in",
    403: "Not allowed",
    404: "Not found",
    405: "Not possible",
    413: "Too much",
    414: "Too long",
    429: "Too often",
    431: "Too much",
    500: "Something went wrong",
    503: "Not ready",
}

CONFLICT = (
    "Somebody else changed this record while you were editing it. Your changes are not saved. "
    "Open the record again to see the other change, then repeat yours."
)
RECORD_GONE = "This connection no longer exists."
NOT_SAVED = "Not saved: please correct the marked fields."
NOT_TESTED = "Not tested: please correct the marked fields."
NOT_PUBLISHED = "Not sent: please correct the marked fields."
NOTHING_TO_ASK = "The worker runs only enabled connections: enable the selected ones first."
NAME_TAKEN = "Another connection already has this name."
NOTHING_SELECTED = "Select at least one connection first."


def same_client_id(other: str, client_id: str) -> str:
    """Two records that would push each other out."""
    return (
        f"Connection “{other}” already uses client id {client_id} on this host and port; the "
        "broker would close one for the other. Use another client id or site."
    )


def sentence(text: str) -> str:
    """Return `text` with a capital and a full stop."""
    stripped = text.strip().rstrip(".")
    return f"{stripped[:1].upper()}{stripped[1:]}." if stripped else ""


def count(number: int, noun: str) -> str:
    """`1 connection`, `2 connections`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def percent(value: float) -> str:
    """Return a percentage; anything short of everything is less than 100 %."""
    return "100 %" if value >= 100 else f"{math.floor(value * 100) / 100:.2f} %"


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
    whole = max(1, round(number))
    return f"{whole:,}/min" if seconds == 60 else f"{whole:,} in {duration(seconds)}"


def _short(number: float) -> str:
    """Return a number of about three digits."""
    if number >= 99.95:
        return f"{number:,.0f}"
    return f"{number:.1f}".removesuffix(".0")


def duration(seconds: float) -> str:
    """Return a length of time in its two largest units: `3 d 4 h`, `12 min 5 s`."""
    if seconds < 1:
        return "less than 1 s"
    left = round(seconds)
    words = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        number, left = divmod(left, size)
        if number:
            words.append(f"{number} {unit}")
        elif words:
            break
    return " ".join(words[:2])


def expiry(seconds: float) -> str:
    """Return when something expires or expired: in days, in hours when it is near."""
    size, noun = (3_600, "hour") if abs(seconds) < 2 * 86_400 else (86_400, "day")
    number = int(abs(seconds) // size)
    length = count(number, noun) if number else "less than 1 hour"
    return f"in {length}" if seconds > 0 else f"expired {length} ago"


def named(names: Sequence[str]) -> str:
    """Return a few of `names` and the number of the others."""
    shown = ", ".join(f"“{name}”" for name in names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5:,} more"


def rank(state: str) -> int:
    """Return how early `state` comes where the worst is shown first."""
    return WORST_FIRST.index(state) if state in WORST_FIRST else 0


def state_word(state: str) -> str:
    """Return the word for `state`; one that this version does not know is shown as it is."""
    return STATES.get(state, (state.replace("_", " "), "?", "off"))[0]
