"""What has to change so that what runs becomes what is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mqttworker.core.spec import Record


@dataclass(frozen=True, slots=True)
class Plan:
    """Records to act on. `touch` are edits that need no reconnect, such as notes."""

    start: tuple[Record, ...] = ()
    restart: tuple[Record, ...] = ()
    touch: tuple[Record, ...] = ()
    #: Ids that are no longer wanted.
    stop: tuple[int, ...] = ()


def plan(wanted: Mapping[int, Record], running: Mapping[int, Record]) -> Plan:
    """Compare by id; a running record that did not change is in none of the lists."""
    both = [(wanted[key], running[key]) for key in wanted.keys() & running.keys()]
    return Plan(
        start=tuple(wanted[key] for key in sorted(wanted.keys() - running.keys())),
        restart=tuple(new for new, old in both if not new.same_connection(old)),
        touch=tuple(new for new, old in both if new != old and new.same_connection(old)),
        stop=tuple(sorted(running.keys() - wanted.keys())),
    )
