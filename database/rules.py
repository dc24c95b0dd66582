"""What a connection record may say: one set of checks for form, import and worker.

Pure functions. A check returns one sentence with the cure, or None. `problems` applies
them all and names the field of each finding.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from database import destinations, hosts, pem
from database.sentences import say
from database.words import Protocol

#: Longest UTF-8 string that MQTT can carry (5, section 1.5.4), bytes.
MAX_STRING_BYTES = 65_535
MAX_NAME_CHARACTERS = 200
#: Longest name that the DNS carries, with its dots.
MAX_HOST_CHARACTERS = 253
MAX_KEEPALIVE = 65_535  # seconds, two bytes on the wire
MAX_CONNECT_TIMEOUT = 120  # seconds
MAX_SELF_PING = 3600  # seconds
MAX_EXPECTED_EVERY = 31_536_000  # seconds, a year
MAX_KEEP_DAYS = 36_500
MAX_KEEP_MB = 100_000_000
MAX_SESSION_EXPIRY = 0xFFFF_FFFF  # seconds, four bytes; the largest means "never"

#: What a template may hold in braces.
PLACEHOLDERS = ("site", "hostname", "name", "id")

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_HOST_LABEL = re.compile(r"(?!-)[\w-]{1,63}(?<!-)", re.UNICODE)
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class TemplateError(ValueError):
    """A template holds a brace or a placeholder that means nothing."""


def render(template: str, values: Mapping[str, object]) -> str:
    """Return `template` with `{site}`, `{hostname}`, `{name}` and `{id}` filled in.

    Nothing else in braces is looked at: no attributes, no indices, no format
    specifications. Raises TemplateError.
    """

    def fill(match: re.Match[str]) -> str:
        if match[1] not in PLACEHOLDERS:
            raise TemplateError(match[0])
        return str(values[match[1]])

    if re.search(r"[{}]", _PLACEHOLDER.sub("", template)):
        raise TemplateError(template)
    return _PLACEHOLDER.sub(fill, template)


def names_of(record: Mapping[str, Any], hostname: str) -> dict[str, object]:
    """Return what fills the templates of `record` on machine `hostname`."""
    return {
        "site": record.get("site") or "",
        "hostname": hostname,
        "name": record.get("name") or "",
        "id": record.get("id") or "",
    }


def identity(record: Mapping[str, Any], hostname: str) -> tuple[str, int, str]:
    """Return (host, port, client id): what no two records may share. Raises TemplateError."""
    client_id = render(str(record["client_id"]), names_of(record, hostname))
    host = hosts.normalized_host(str(record["host"]))
    return (host, int(record["port"]), client_id)


# --- one check a kind of value ----------------------------------------------------------


def check_line(value: object) -> str | None:
    """A short text that is shown in lists and logs."""
    if not isinstance(value, str) or not value.strip():
        return say("Enter a value; it must not be empty.")
    if len(value) > MAX_NAME_CHARACTERS:
        return say(
            "Use at most {limit} characters; this has {length}.",
            limit=MAX_NAME_CHARACTERS,
            length=len(value),
        )
    if _CONTROL.search(value):
        return say("Remove the control characters (line breaks, tabs, NUL).")
    return None


def check_host(value: object) -> str | None:
    """A host name or an IP address, of those that records may point at.

    An IPv6 address may stand in brackets, as in a URL; who uses it leaves them out.
    """
    if not isinstance(value, str) or not value.strip():
        return say("Enter the broker's host name or IP address.")
    value = hosts.without_brackets(value)
    if "://" in value:
        return say("Enter only the host name, without mqtt:// or another scheme.")
    if (problem := destinations.current().host_problem(value)) is not None:
        return problem
    if destinations.is_address(value):
        return None
    if len(value) > 253 or not all(map(_HOST_LABEL.fullmatch, value.rstrip(".").split("."))):
        return say("Enter a host name such as broker.example or an IP address, without a port.")
    return None


def check_port(value: object) -> str | None:
    """A TCP port, of those that records may point at."""
    if (problem := check_integer(value, 1, 65_535)) is not None:
        return problem
    return destinations.current().port_problem(int(str(value)))


def check_integer(value: object, low: int, high: int) -> str | None:
    """A whole number within bounds."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        return say("Enter a whole number from {low} to {high}.", low=low, high=high)
    return None


def check_flag(value: object) -> str | None:
    """True or false."""
    if isinstance(value, bool) or value in (0, 1):
        return None
    return say("Use true or false.")


def check_string(value: object) -> str | None:
    """Text that MQTT carries with a two-byte length, such as a user name; may be empty."""
    if not isinstance(value, str):
        return say("Enter text.")
    if "\x00" in value or _has_surrogate(value):
        return say("Remove the NUL or other characters that MQTT cannot carry.")
    size = len(value.encode("utf-8"))
    if size > MAX_STRING_BYTES:
        return too_long(MAX_STRING_BYTES, size)
    return None


def too_long(limit: int, size: int) -> str:
    """Say that there are more bytes than are allowed."""
    return say("Use at most {limit:,} bytes; this has {size:,}.", limit=limit, size=size)


def _has_surrogate(value: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in value)


def check_client_id(value: object) -> str | None:
    """A Client Identifier with its template filled in (5, section 3.1.3.1)."""
    if not isinstance(value, str) or not value.strip():
        return say("Enter a client id; brokers tell their clients apart by it.")
    if _CONTROL.search(value):
        return say("Remove the control characters (line breaks, tabs, NUL) from the client id.")
    return check_string(value)


def check_topic_name(value: object) -> str | None:
    """A Topic Name to publish to (5, section 4.7)."""
    if not isinstance(value, str) or not value:
        return say("Enter a topic.")
    if "+" in value or "#" in value:
        return say("A topic to publish to must not hold the wildcards + and #.")
    if value.startswith("$"):
        return say("Topics that start with $ belong to the broker; choose another.")
    return check_string(value)


def check_topic_filter(value: object) -> str | None:
    """A Topic Filter to subscribe to, shared ones included (5, sections 4.7 and 4.8.2)."""
    if not isinstance(value, str) or not value:
        return say("Enter a Topic Filter, for example sensors/#.")
    if (problem := check_string(value)) is not None:
        return problem
    levels = value.split("/")
    if levels[0] == "$share":
        if len(levels) < 3 or not levels[1] or "+" in levels[1] or "#" in levels[1]:
            return say("Write a shared subscription as $share/GROUP/FILTER, no wildcard in GROUP.")
        levels = levels[2:]
        if levels == [""]:
            return say("Add the Topic Filter after $share/GROUP/.")
    if any("#" in level for level in levels[:-1]) or ("#" in levels[-1] and levels[-1] != "#"):
        return say("The wildcard # must stand alone as the last level, as in sensors/#.")
    if any("+" in level and level != "+" for level in levels):
        return say("The wildcard + must stand alone in its level, as in sensors/+/state.")
    return None


# --- the whole record ------------------------------------------------------------------


def problems(
    record: Mapping[str, Any],
    subscriptions: Iterable[Mapping[str, Any]] = (),
    *,
    hostname: str,
) -> dict[str, str]:
    """Return `{field: sentence}` for all that is wrong with a record, empty if nothing is.

    `record` has the columns of `connection`; a missing secret counts as none. The
    fields of subscriptions are named `subscriptions[0].topic_filter`.
    """
    found: dict[str, str | None] = {
        "name": check_line(record.get("name")),
        "site": check_line(record.get("site")),
        "host": check_host(record.get("host")),
        "port": check_port(record.get("port")),
        "is_enabled": check_flag(record.get("is_enabled")),
        "protocol": _check_protocol(record.get("protocol")),
        "clean_session": check_flag(record.get("clean_session")),
        "session_expiry_s": check_integer(record.get("session_expiry_s"), 0, MAX_SESSION_EXPIRY),
        "keepalive_s": check_integer(record.get("keepalive_s"), 1, MAX_KEEPALIVE),
        "connect_timeout_s": check_integer(record.get("connect_timeout_s"), 1, MAX_CONNECT_TIMEOUT),
        "client_id": _check_template(record, "client_id", hostname, check_client_id),
        "status_topic": _check_template(record, "status_topic", hostname, check_topic_name),
        "online_payload": check_string(record.get("online_payload")),
        "offline_payload": check_string(record.get("offline_payload")),
        "status_qos": check_integer(record.get("status_qos"), 0, 2),
        "status_retain": check_flag(record.get("status_retain")),
        "announce_who": check_flag(record.get("announce_who")),
        "self_ping_s": check_integer(record.get("self_ping_s"), 0, MAX_SELF_PING),
        "keep_messages_days": check_integer(record.get("keep_messages_days"), 0, MAX_KEEP_DAYS),
        "keep_messages_mb": check_integer(record.get("keep_messages_mb"), 0, MAX_KEEP_MB),
        "tls": check_flag(record.get("tls")),
        "tls_verify": check_flag(record.get("tls_verify")),
        **_check_login(record),
        **pem.problems(pem.read(*map(record.get, pem.FIELDS))),
        **_check_subscriptions(list(subscriptions)),
    }
    return {field: problem for field, problem in found.items() if problem}


def _check_protocol(value: object) -> str | None:
    if isinstance(value, str) and value in set(Protocol):
        return None
    return say("Use one of {choices}.", choices=", ".join(Protocol))


def _check_template(record: Mapping[str, Any], field: str, hostname: str, check: Any) -> str | None:
    value = record.get(field)
    if not isinstance(value, str):
        refused: str | None = check(value)
        return refused
    if len(value) > MAX_STRING_BYTES:
        size = len(value.encode("utf-8", "surrogatepass"))
        return too_long(MAX_STRING_BYTES, size)
    try:
        filled = render(value, names_of(record, hostname))
    except TemplateError:
        allowed = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
        return say("In braces only {allowed} can be used.", allowed=allowed)
    result: str | None = check(filled)
    return result


def _check_login(record: Mapping[str, Any]) -> dict[str, str | None]:
    username, password = record.get("username"), record.get("password")
    found = {
        "username": None if username is None else check_string(username),
        "password": None if password is None else check_string(password),
    }
    if password and not username and record.get("protocol") == Protocol.V311:
        found["username"] = say(
            "MQTT 3.1.1 carries no password without a user name (MQTT-3.1.2-22); enter one, or "
            "set the MQTT version to 5 or auto."
        )
    return found


def _check_subscriptions(subscriptions: Sequence[Mapping[str, Any]]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    seen: set[object] = set()
    for index, item in enumerate(subscriptions):
        topic_filter = item.get("topic_filter")
        problem = check_topic_filter(topic_filter)
        if problem is None and topic_filter in seen:
            problem = say("This Topic Filter is already in the list; keep one of the two.")
        elif problem is None:
            seen.add(topic_filter)
        found[f"subscriptions[{index}].topic_filter"] = problem
        found[f"subscriptions[{index}].qos"] = check_integer(item.get("qos"), 0, 2)
        found[f"subscriptions[{index}].expected_every_s"] = check_integer(
            item.get("expected_every_s", 0), 0, MAX_EXPECTED_EVERY
        )
    return found
