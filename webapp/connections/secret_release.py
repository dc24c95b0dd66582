"""Whether a change would send stored secrets somewhere else: the one rule for every way to make it.

A stored password or client key is never shown, so it must not be had by pointing its
connection at another listener either. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from database.hosts import asked_host
from webapp.connections.records import DESTINATION
from webapp.wording.lazy import lazy_gettext as _

#: What is said at the field of a secret that would be sent somewhere else.
REFUSALS = {
    "password": _(
        "Enter the password again or remove it: the stored one is not sent to another host or "
        "port, nor without TLS or its verification."
    ),
    "tls_client_key_pem": _(
        "Enter the client key again or remove it: the stored one is not used for another host or "
        "port, nor without TLS or its verification."
    ),
}


def refusals(
    stored: Mapping[str, Any],
    wanted: Mapping[str, Any],
    kept: Iterable[str],
    wrong: Mapping[str, str],
) -> dict[str, str]:
    """Return a sentence for each of the `kept` secrets that `wanted` would send somewhere else.

    `stored` is the record that holds them, read in the transaction that uses them. A
    destination that is `wrong` by itself is not compared: nothing is sent there.
    """
    if wrong.keys() & set(DESTINATION) or not leads_elsewhere(stored, wanted):
        return {}
    return {field: str(REFUSALS[field]) for field in kept}


def leads_elsewhere(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Return whether others could read what is sent to the broker of `wanted`.

    Another CA does not count, nor does TLS or its verification that is turned on. A last dot of
    the host does: without it the name may be one of the machine's own domains, such as a cluster's.
    """
    return (
        asked_host(str(stored["host"])) != asked_host(str(wanted["host"]))
        or stored["port"] != wanted["port"]
        or any(stored[flag] and not wanted[flag] for flag in ("tls", "tls_verify"))
    )
