"""The verdict on a picture: pass, warn or fail, and why in one sentence.

Sentences are in the language of the page, English elsewhere. They name connections and states
and never a host, id or topic, so that they may be shown to anybody who may see names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from flask_babel import gettext as _
from flask_babel import ngettext

from database.words import ConnectionState, WorkerState
from webapp import certificates
from webapp.certificates import Group, Held
from webapp.certificates import Role as CertificateRole
from webapp.picture.overview import Item, Picture
from webapp.picture.workers import Worker
from webapp.wording import texts
from webapp.wording.language import in_words
from webapp.wording.lazy import lazy_gettext

Status = Literal["pass", "warn", "fail"]
#: Connections that a sentence names before it only counts.
NAMED = 3
#: What a certificate is for.
ROLES = {
    CertificateRole.CA: lazy_gettext("CA certificate"),
    CertificateRole.CLIENT: lazy_gettext("client certificate"),
    CertificateRole.BROKER: lazy_gettext("broker's certificate"),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the whole stands."""

    status: Status
    output: str


def judge(picture: Picture, expiring: Sequence[Held] = ()) -> Verdict:
    """Return the verdict on `picture` and on what of its certificates is `expiring`."""
    found = _judge_connections(picture)
    if found.status == "fail" or not expiring:
        return found
    sentence = _certificates(expiring, picture.now)
    if found.status == "pass":
        return Verdict("warn", f"{sentence[0].upper()}{sentence[1:]}")
    return Verdict("warn", f"{found.output}; {sentence}")


def _judge_connections(picture: Picture) -> Verdict:
    if not picture.live:
        return Verdict("fail", worker_sentence(picture.worker))
    enabled = picture.enabled
    if not enabled:
        return Verdict("pass", _("No connection is enabled."))
    down = [item for item in enabled if not item.up]
    late = [item for item in down if not picture.within_grace(item)]
    degraded = [item for item in enabled if item.state == ConnectionState.DEGRADED]
    if late:
        output = _not_connected(late, len(enabled))
        if degraded:
            output = f"{output}; {_also_degraded(degraded)}"
        return Verdict("fail" if len(late) == len(enabled) else "warn", output)
    if degraded:
        return Verdict("warn", _not_working(degraded, len(enabled)))
    return Verdict("pass", fine(len(enabled), len(down)))


def worker_sentence(worker: Worker | None) -> str:
    """Return why the worker's word cannot be taken."""
    if worker is None:
        return str(_("No worker has ever reported: states are unknown."))
    if worker.state == WorkerState.STOPPED:
        return str(_("The worker is stopped: states are unknown."))
    if worker.is_locked_out:
        return str(_("The database is locked, so the worker cannot report: states are unknown."))
    if worker.stale:
        seconds = texts.number(worker.age_s)
        return str(
            _("The worker has been silent for %(seconds)s s: states are unknown.", seconds=seconds)
        )
    return str(
        _("The worker is in state %(state)s: no connection is looked after.", state=worker.state)
    )


# --- certificates


def _certificates(expiring: Sequence[Held], now: datetime) -> str:
    found = certificates.groups(expiring)
    named = [_certificate(group, now) for group in found[:NAMED]]
    return _and_more(named, len(found))


def _certificate(group: Group, now: datetime) -> str:
    """Return one sentence for a certificate, however many connections meet it."""
    assert group.certificate.expires is not None
    left = (group.certificate.expires - now).total_seconds()
    names = [held.name for held in group.holders]
    words = {"name": _name(names), "role": ROLES[group.role], "when": texts.expiry(left)}
    if left > 0:
        return str(_("certificate of %(name)s (%(role)s) expires %(when)s", **words))
    return str(_("certificate of %(name)s (%(role)s) %(when)s", **words))


def _name(names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    more = texts.number(len(names) - 1)
    return str(_("%(names)s and %(number)s more", names=names[0], number=more))


# --- connections


def fine(enabled: int, down: int) -> str:
    """Return the sentence about connections that are up, but for those within the grace."""
    if not down:
        return str(
            ngettext(
                "The one enabled connection is connected.",
                "All %(number)s enabled connections are connected.",
                enabled,
                number=texts.number(enabled),
            )
        )
    return str(
        _(
            "%(connected)s of %(all)s connected, %(down)s starting or lost for less than 10 s.",
            connected=texts.number(enabled - down),
            all=texts.count(enabled, "enabled connection"),
            down=texts.number(down),
        )
    )


def _not_connected(items: Sequence[Item], enabled: int) -> str:
    return str(
        ngettext(
            "%(number)s of %(all)s is not connected: %(which)s",
            "%(number)s of %(all)s are not connected: %(which)s",
            len(items),
            number=texts.number(len(items)),
            all=texts.count(enabled, "enabled connection"),
            which=_which(items),
        )
    )


def _not_working(items: Sequence[Item], enabled: int) -> str:
    return str(
        ngettext(
            "%(number)s of %(all)s is not fully working: %(which)s",
            "%(number)s of %(all)s are not fully working: %(which)s",
            len(items),
            number=texts.number(len(items)),
            all=texts.count(enabled, "enabled connection"),
            which=_which(items),
        )
    )


def _also_degraded(items: Sequence[Item]) -> str:
    return str(
        ngettext(
            "%(number)s more is not fully working: %(which)s",
            "%(number)s more are not fully working: %(which)s",
            len(items),
            number=texts.number(len(items)),
            which=_which(items),
        )
    )


def _which(items: Sequence[Item]) -> str:
    worst = sorted(items, key=lambda item: texts.rank(item.state))[:NAMED]
    named = [
        f"{item.name} ({texts.state_word(item.state)}, {in_words(item.summary)})" for item in worst
    ]
    return _and_more(named, len(items))


def _and_more(named: Sequence[str], number: int) -> str:
    shown = "; ".join(named)
    if number <= NAMED:
        return shown
    return str(
        _("%(named)s; and %(number)s more", named=shown, number=texts.number(number - NAMED))
    )
