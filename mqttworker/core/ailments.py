"""What is wrong with a session that stands: several ailments at once, the gravest first.

An ailment is named by its reason code; another word of the same code replaces the first.
"""

from __future__ import annotations

from mqttworker.core.cause import Cause

#: The order in which one of several is shown. What is not named here comes last.
GRAVEST_FIRST = (
    "messages_not_stored",
    "self_ping_missed",
    "subscribe_refused",
    "status_refused",
    "self_ping_refused",
    "subscription_quiet",
)
#: Which ailment each word of recovery ends. A refused Topic Filter lasts as long as the session.
_ENDS = {
    "messages_stored_again": "messages_not_stored",
    "self_ping_returned": "self_ping_missed",
    "status_accepted": "status_refused",
    "subscription_heard": "subscription_quiet",
}

Ailments = tuple[Cause, ...]


def added(ailments: Ailments, why: Cause) -> Ailments:
    """Return what is wrong once `why` is too."""
    if why in ailments:
        return ailments
    others = [ailment for ailment in ailments if ailment.code != why.code]
    return tuple(sorted((*others, why), key=_rank))


def ended(ailments: Ailments, why: Cause) -> Ailments:
    """Return what is still wrong once `why` says that something is over."""
    over = _ENDS.get(why.code)
    return tuple(ailment for ailment in ailments if ailment.code != over)


def _rank(ailment: Cause) -> tuple[int, str]:
    code = ailment.code
    known = code in GRAVEST_FIRST
    return (GRAVEST_FIRST.index(code) if known else len(GRAVEST_FIRST), code)
