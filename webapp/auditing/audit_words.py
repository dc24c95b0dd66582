"""Entries of the audit log in words: what was done to what, and from which value to which."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flask import g
from flask_babel import gettext as _
from markupsafe import Markup, escape

from webapp.auditing import changes
from webapp.auditing.audit_log import Entry
from webapp.connections import connection_form
from webapp.messages.shown import visible
from webapp.wording import texts
from webapp.wording.lazy import lazy_gettext as _l

#: What can be done, as the filter offers it, and as a sentence of who did it.
ACTIONS: dict[str, tuple[Any, Any]] = {
    "connection.create": (_l("connection created"), _l("created the connection %(name)s")),
    "connection.duplicate": (
        _l("connection duplicated"),
        _l("created the connection %(name)s as a copy"),
    ),
    "connection.update": (_l("connection changed"), _l("changed the connection %(name)s")),
    "connection.enable": (_l("connection enabled"), _l("enabled the connection %(name)s")),
    "connection.disable": (_l("connection disabled"), _l("disabled the connection %(name)s")),
    "connection.delete": (_l("connection deleted"), _l("deleted the connection %(name)s")),
    "command.reconnect": (_l("reconnect"), _l("let %(name)s reconnect")),
    "command.clear_cooldown": (_l("cooldown cleared"), _l("ended the wait of %(name)s")),
    "command.test": (_l("test"), _l("tested %(name)s")),
    "command.publish": (_l("publish"), _l("published a message on %(name)s")),
    "account.create": (_l("account made"), _l("made the account %(name)s")),
    "account.update": (_l("account changed"), _l("changed the account %(name)s")),
    "account.activate": (_l("account activated"), _l("activated the account %(name)s")),
    "account.deactivate": (_l("account deactivated"), _l("deactivated the account %(name)s")),
    "account.change_password": (
        _l("password changed"),
        _l("changed the password of %(name)s"),
    ),
    "account.reset_password": (_l("password reset"), _l("reset the password of %(name)s")),
    "account.end_sessions": (_l("sessions ended"), _l("ended sessions of %(name)s")),
    "account.add_second_factor": (
        _l("second factor set up"),
        _l("set up a second factor for %(name)s"),
    ),
    "account.remove_second_factor": (
        _l("second factor removed"),
        _l("removed the second factor of %(name)s"),
    ),
    "account.renew_recovery_codes": (
        _l("recovery codes renewed"),
        _l("renewed the recovery codes of %(name)s"),
    ),
    "session.start": (_l("sign-in"), _l("signed in as %(name)s")),
    "session.refused": (_l("sign-in refused"), _l("tried to sign in as %(name)s and was refused")),
    "session.end": (_l("sign-out"), _l("signed out %(name)s")),
}
#: Fields that no form of a connection has.
LABELS: dict[str, Any] = {
    "is_enabled": _l("Enabled"),
    "copied_from": _l("Copied from"),
    "topic": _l("Topic"),
    "bytes": _l("Payload, bytes"),
    "qos": _l("QoS"),
    "retain": _l("Retain"),
    "use_real_client_id": _l("With the real client id"),
    "sent": _l("Handed to the worker"),
    "role": _l("Role"),
    "reason": _l("Reason"),
    "sessions": _l("Sessions"),
}
_SECRET_WORDS = {
    changes.SET: _l("set"),
    changes.CHANGED: _l("changed"),
    changes.REMOVED: _l("removed"),
}
#: Actions of which only what is new, or only what was, is told.
_NEW = ("create", "duplicate", "start", "refused", "publish", "test")
_GONE = ("delete", "end_sessions")


@dataclass(frozen=True, slots=True)
class Line:
    """One field: what it was, what it is; None where that is not told."""

    label: Markup
    old: Markup | None
    new: Markup | None


def word(action: str) -> str:
    """Return an action as the filter offers it."""
    known = ACTIONS.get(action)
    return str(known[0]) if known else action.replace(".", ": ").replace("_", " ")


def sentence(entry: Entry, name: Markup) -> Markup:
    """Return what was done; `name` is how the page shows the subject."""
    known = ACTIONS.get(entry.action)
    if known is None:
        return visible(word(entry.action)) + " " + name
    return escape(str(known[1])) % {"name": name}


def lines(action: str, told: Mapping[str, Any]) -> list[Line]:
    """Return the fields that an action changed, a line each."""
    labels = _labels()
    found: list[Line] = []
    for name, pair in told.items():
        if not isinstance(pair, list) or len(pair) != 2:
            found.append(Line(visible(labels.get(name, name)), None, _value(pair)))
        elif name == changes.SUBSCRIPTIONS:
            found.extend(_subscriptions(*pair))
        elif name in changes.SECRETS:
            found.append(Line(visible(labels.get(name, name)), None, _secret(pair[1])))
        else:
            found.append(_line(action, visible(labels.get(name, _plain(name))), *pair))
    return found


def exported(entry: Entry) -> dict[str, Any]:
    """Return an entry as exports hold it, in English."""
    return {
        "id": entry.id,
        "at": entry.at,
        "who": entry.actor,
        "address": entry.address,
        "action": entry.action,
        "kind": entry.kind,
        "subject_id": entry.number,
        "subject": entry.name,
        "changes": entry.changes,
    }


def _labels() -> dict[str, str]:
    """Return what fields are called, made once a page: each entry asks."""
    if "audit_labels" not in g:
        form = {field.name: str(field.label.text) for field in connection_form.ConnectionForm()}
        g.audit_labels = {**form, **{name: str(label) for name, label in LABELS.items()}}
    found: dict[str, str] = g.audit_labels
    return found


def _plain(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _line(action: str, label: Markup, old: Any, new: Any) -> Line:
    verb = action.rpartition(".")[2]
    if verb in _NEW and old is None:
        return Line(label, None, _value(new))
    if verb in _GONE and new is None:
        return Line(label, _value(old), None)
    return Line(label, _value(old), _value(new))


def _secret(told: Any) -> Markup:
    """Return what became of a secret; whatever stands there, never more than a known word."""
    return escape(str(_SECRET_WORDS.get(told, "?") if isinstance(told, str) else "?"))


def _value(value: Any) -> Markup:
    if value is None or value == "":
        return escape(_("none"))
    if isinstance(value, bool):
        return escape(_("on") if value else _("off"))
    if isinstance(value, Mapping) and changes.LENGTH in value:
        length = _("(%(number)s characters)", number=texts.number(value[changes.LENGTH]))
        return visible(value.get(changes.CUT, ""), "\n") + "… " + escape(length)
    return visible(value if isinstance(value, str | int | float) else json.dumps(value), "\n")


def _subscriptions(old: Any, new: Any) -> Iterator[Line]:
    """Yield a line a Topic Filter, in the order in which they were written down."""
    before, after = _by_filter(old), _by_filter(new)
    for key in {**before, **after}:
        label = escape(_("Topic Filter")) + " " + _value(json.loads(key))
        told = [each.get(key) for each in (before, after)]
        yield Line(label, *(None if item is None else _subscription(item) for item in told))


def _by_filter(items: Any) -> dict[str, Mapping[str, Any]]:
    """Return subscriptions by their Topic Filter as JSON: one that was cut is an object."""
    found = items if isinstance(items, list) else []
    return {
        json.dumps(item.get("topic_filter")): item
        for item in found
        if isinstance(item, Mapping) and "topic_filter" in item
    }


def _subscription(item: Mapping[str, Any]) -> Markup:
    said = [_("QoS %(qos)s", qos=item.get("qos"))]
    if not item.get("is_enabled", True):
        said.append(_("not active"))
    if every := item.get("expected_every_s"):
        said.append(_("expected every %(seconds)s s", seconds=every))
    return visible(", ".join(said))
