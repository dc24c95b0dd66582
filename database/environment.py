"""The environment before it becomes settings: misspelt names, files that hold values, bytes."""

from __future__ import annotations

import difflib
import os
import re
import stat
from collections.abc import Container, Iterable, Mapping

PREFIX = "HAWSER_"
FILE_SUFFIX = "_FILE"
#: Each of these may also be given as HAWSER_<NAME>_FILE, the path of a file that holds it.
FILE_SETTINGS = ("SECRET_KEY", "ENCRYPTION_KEYS", "DATABASE_URL", "ADMIN_PASSWORD")
#: The keys may stand below each other.
_FILES_OF_LINES = ("HAWSER_ENCRYPTION_KEYS_FILE",)
#: Every variable that some part of the product reads, without the prefix.
KNOWN = frozenset(
    {
        *("ENV", "HOME", "DATABASE_URL", "ENCRYPTION_KEYS", "HOSTNAME", "HEARTBEAT_INTERVAL"),
        *("HEARTBEAT_STALE_AFTER", "BROKER_NETWORKS", "BROKER_PORTS", "MESSAGE_KEEP_DAYS"),
        *("MESSAGE_KEEP_MB", "LOG_LEVEL", "LOG_FORMAT"),
        # The web.
        *("BIND", "SECRET_KEY", "ADMIN_EMAIL", "ADMIN_PASSWORD", "HEALTH_ANONYMOUS"),
        *("AUDIT_DAYS", "SESSION_IDLE_HOURS", "SESSION_HOURS", "TRUSTED_PROXIES"),
        *("COOKIE_SECURE", "RED_ABOVE_PERCENT"),
        # The worker.
        *("MONITOR_INTERVAL", "CONFIG_POLL_INTERVAL", "SHUTDOWN_TIMEOUT", "MAX_PACKET_BYTES"),
        *("MESSAGE_QUEUE_MESSAGES", "MESSAGE_QUEUE_BYTES", "CONNECT_RATE"),
        # The demo broker, supervisord.conf, compose.yaml.
        *("DEMO_BROKER_PORT", "PYTHON", "SUPERVISOR_SOCKET", "MINFDS", "RUN_DEMO_BROKER"),
        *("RUN_SETUP", "PORT"),
    }
    | {f"{name}{FILE_SUFFIX}" for name in FILE_SETTINGS}
)
#: What container platforms make for a service called hawser, or hawser-web.
_OF_PLATFORMS = re.compile(
    r"(\w+_)?(PORT|SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_[0-9]+_(TCP|UDP)(_\w+)?|NAME|ENV_\w+)"
)
#: From this likeness on, 0 to 1, an unknown name is taken for a misspelt one.
_ALIKE = 0.8
#: Longest file that is read for a value, bytes.
_MAX_FILE_BYTES = 65_536


class SettingError(ValueError):
    """Something is wrong with a setting; the message is a sentence that names the variable."""


def check_names(names: Iterable[str]) -> None:
    """Refuse a misspelt variable: what it was meant to set would silently keep its default.

    Others that begin like ours are left to `unknown_names`. Raises SettingError.
    """
    for name in names:
        if name.upper().startswith(PREFIX) and name.removeprefix(PREFIX) not in KNOWN:
            _check_name(name)


def unknown_names(names: Iterable[str]) -> list[str]:
    """Return the variables that begin like ours and mean nothing, as people may be shown them."""
    ours = {name: name[len(PREFIX) :] for name in names if name.upper().startswith(PREFIX)}
    return sorted(
        ascii(name)[1:-1]
        for name, base in ours.items()
        if base not in KNOWN and not _OF_PLATFORMS.fullmatch(base.upper())
    )


def _check_name(name: str) -> None:
    shown = ascii(name)[1:-1]
    base = name.upper().removeprefix(PREFIX)
    if base in KNOWN:
        msg = f"{shown} is written {PREFIX}{base}; rename it"
        raise SettingError(msg)
    if base.endswith(FILE_SUFFIX) and base.removesuffix(FILE_SUFFIX) in KNOWN:
        plain = f"{PREFIX}{base.removesuffix(FILE_SUFFIX)}"
        msg = f"{shown} is no setting: {plain} cannot come from a file; set {plain} itself"
        raise SettingError(msg)
    closest = difflib.get_close_matches(base, sorted(KNOWN), n=1, cutoff=_ALIKE)
    if closest:
        msg = f"{shown} is no setting; {PREFIX}{closest[0]} may be meant: rename or remove it"
        raise SettingError(msg)


def check_bytes(environment: Mapping[str, str]) -> None:
    """Refuse values that are no UTF-8 text. Raises SettingError."""
    for name, value in environment.items():
        if name.startswith(PREFIX) and not _is_text(value):
            msg = f"{ascii(name)[1:-1]} holds bytes that are no UTF-8 text; enter it anew"
            raise SettingError(msg)


def _is_text(value: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in value)


def values_from_files(environment: Mapping[str, str], fields: Container[str]) -> dict[str, str]:
    """Return what the files hold that HAWSER_<NAME>_FILE name, by field. Raises SettingError."""
    found = {}
    for name in FILE_SETTINGS:
        if name.lower() not in fields:
            continue
        variable = f"{PREFIX}{name}"
        path = environment.get(f"{variable}{FILE_SUFFIX}")
        if not path:
            continue
        if environment.get(variable):
            msg = f"{variable} and {variable}{FILE_SUFFIX} are both set; remove one of them"
            raise SettingError(msg)
        found[name.lower()] = _content(f"{variable}{FILE_SUFFIX}", path)
    return found


def _content(variable: str, path: str) -> str:
    """Return the text of a file without the space around it. Raises SettingError.

    The sentence leaves the path out: somebody may have entered the secret itself there.
    """
    try:
        text = _read(path)
    except OSError as error:
        msg = (
            f"{variable}: cannot read the file that it names ({error.strerror}); "
            f"it must be the path of a file that holds the value"
        )
        raise SettingError(msg) from None
    except ValueError:
        msg = f"{variable}: the file that it names is no UTF-8 text of at most 64 KiB"
        raise SettingError(msg) from None
    if not text.strip():
        msg = f"{variable}: the file that it names is empty; write the value into it"
        raise SettingError(msg)
    if variable not in _FILES_OF_LINES and len(text.strip().splitlines()) > 1:
        msg = f"{variable}: the file that it names has several lines; write the value alone into it"
        raise SettingError(msg)
    return text.strip()


def _read(path: str) -> str:
    # A pipe without a writer must not hold up the start.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(0, "it is no regular file")
        content = file.read(_MAX_FILE_BYTES + 1)
    if len(content) > _MAX_FILE_BYTES:
        raise ValueError
    return content.decode("utf-8-sig")
