"""Where records may point at: which addresses and ports a broker may have.

A record is a way to make this machine connect somewhere, so the rule keeps it away from
what no broker is: link-local addresses, the metadata services of clouds, ports of other
services. Loopback, private and public addresses are allowed, since brokers live there.
`HAWSER_BROKER_NETWORKS` and `HAWSER_BROKER_PORTS` narrow that, and open what they name.
Standard library only; nothing here asks a name server.
"""

from __future__ import annotations

import ipaddress

from database.destinations.rule import Rule
from database.destinations.settings import networks_of, ports_of

__all__ = ["Rule", "configure", "current", "is_address", "networks_of", "ports_of"]

_rule = Rule()


def configure(rule: Rule) -> None:
    """Set the rule of this process."""
    global _rule  # noqa: PLW0603 - one rule a process, set at start
    _rule = rule


def current() -> Rule:
    """Return the rule of this process; the default one if none was set."""
    return _rule


def is_address(host: str) -> bool:
    """Whether `host` is an IP address in its usual spelling."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
