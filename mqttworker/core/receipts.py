"""What we have of a broker's QoS 1 and 2 messages, so that one sent again makes no second row.

A message sent again is recognised only where that is certain (MQTT 5 and 3.1.1, sections
4.3 and 4.4): while it is not acknowledged, or, on the same network connection, when it is
the last one under its Packet Identifier and the same in every byte. With QoS 1 its topic and
payload must be the same in any case: a broker that went back to an old copy of its sessions
gives identifiers away again. So they must with QoS 2, until the broker releases the message.
In doubt it is taken: a broker may deliver twice, but we must not lose.

What is not released of a session that the broker keeps is also written down, by a `Keeper`:
then it is known after the worker was killed, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Protocol

from mqttworker.core.messages import InboundMessage

#: Acknowledged messages of which a digest is kept: those whose PUBACK may still be on its way.
#: Old brokers of 3.1.1, which alone send again on the same connection, have 20 in flight or so;
#: and each connection pays 150 bytes for each.
RECENT = 100


class Keeper(Protocol):
    """Writes down which messages are not released; it hears of stored ones by itself."""

    def release(self, identifier: int) -> None:
        """Remove a message; `Receipts.completed` is called once that is safe."""

    def forget(self) -> None:
        """Remove all of them: their session is gone."""


class Receipts:
    """One MQTT session, over as many network connections as it lives.

    `key` tells it from other sessions. `unreleased` are the digests that the `keeper` has of
    it, by Packet Identifier; a session without a keeper is not kept.
    """

    __slots__ = (
        "_displaced",
        "_elsewhere",
        "_keeper",
        "_key",
        "_pending",
        "_recent",
        "_releasing",
        "_uncompleted",
        "_unreleased",
        "_unsent",
        "topic_filters",
    )

    def __init__(
        self,
        keeper: Keeper | None = None,
        key: bytes = b"",
        unreleased: Mapping[int, int] | None = None,
    ) -> None:
        self._keeper = keeper
        self._key = key
        #: What the session is subscribed to at the broker, as far as we know.
        self.topic_filters: frozenset[str] = frozenset()
        #: Taken, and neither committed nor acknowledged.
        self._pending: dict[int, InboundMessage] = {}
        #: Of these, what came on an earlier network connection and not yet again on this one.
        self._elsewhere: set[int] = set()
        #: Taken on this connection, before another came under the same Packet Identifier:
        #: mosquitto 2.0.11 uses one again while more than 65,535 are in flight. By `id`.
        self._displaced: dict[int, InboundMessage] = {}
        #: QoS 1, committed while no PUBACK could be written: a digest by Packet Identifier.
        self._unsent: dict[int, int] = {}
        #: QoS 2, committed, and not released by the broker: a digest by Packet Identifier.
        self._unreleased: dict[int, int] = dict(unreleased or {})
        #: Of these, what the broker has released and the keeper has not yet removed.
        self._releasing: set[int] = set()
        #: Of these, what was released on this network connection, and waits for its PUBCOMP.
        self._uncompleted: set[int] = set()
        #: QoS 1, acknowledged on this network connection: a digest by Packet Identifier.
        self._recent: dict[int, int] = {}

    @property
    def are_settled(self) -> bool:
        """Whether nothing waits for its commit."""
        return not self._pending and not self._displaced

    def connected(self, *, session_present: bool) -> None:
        """Begin a network connection; without the old session its messages mean nothing."""
        self._recent.clear()
        self._displaced.clear()
        self._uncompleted.clear()
        if not session_present:
            if self._keeper is not None and (self._unreleased or self._pending):
                self._keeper.forget()
            self._pending.clear()
            self._unsent.clear()
            self._unreleased.clear()
            self._releasing.clear()
        self._elsewhere = set(self._pending)

    def is_new(self, message: InboundMessage) -> bool:
        """Take note of a message with QoS 1 or 2; return whether it has to be stored."""
        known = self._knows_2(message) if message.qos == 2 else self._knows_1(message)
        if not known:
            self._displace(message.identifier)
            self._unsent.pop(message.identifier, None)
            self._recent.pop(message.identifier, None)
            self._unreleased.pop(message.identifier, None)
            self._pending[message.identifier] = message
        self._elsewhere.discard(message.identifier)
        return not known

    def is_committed(self, identifier: int) -> bool:
        """Whether a message that came again is to be acknowledged again, at once."""
        return identifier not in self._pending

    def committed(self, message: InboundMessage, *, is_open: bool) -> bool:
        """Take note that `message` is stored; return whether it is to be acknowledged now.

        Not without a network connection (`is_open`), and not if its session is gone. Nor
        before it has come again on this connection: the broker could take that answer,
        or the one to the repeat, for the answer to its next message.
        """
        if self._displaced.pop(id(message), None) is not None:
            return is_open
        if self._pending.get(message.identifier) is not message:
            return False
        del self._pending[message.identifier]
        is_open = is_open and message.identifier not in self._elsewhere
        self._elsewhere.discard(message.identifier)
        if message.qos == 2:
            self._unreleased[message.identifier] = self.digest(message)
        elif is_open:
            self._remember(message)
        else:
            self._unsent[message.identifier] = _gist(message)
        return is_open

    @property
    def is_kept(self) -> bool:
        """Whether what is not released is written down."""
        return self._keeper is not None

    def digest(self, message: InboundMessage) -> int:
        """Return what tells a QoS 2 message from others, without properties, as in `_gist`.

        Also after a restart, and from one of another session.
        """
        topic = message.topic.encode("utf-8", "surrogateescape")
        made = blake2b(topic + b"\0" + message.payload, digest_size=8, key=self._key)
        return int.from_bytes(made.digest(), "big", signed=True)

    def may_release(self, identifier: int) -> bool:
        """Whether a PUBREL with this identifier belongs to a message that we have."""
        return identifier in self._unreleased

    def release(self, identifier: int) -> bool:
        """Accept a PUBREL for such a message; return whether its PUBCOMP may go at once.

        Otherwise it may once that the message is released is written down: the broker uses
        the identifier again as soon as it has the PUBCOMP.
        """
        if self._keeper is None:
            return True
        self._uncompleted.add(identifier)
        if identifier not in self._releasing:
            self._releasing.add(identifier)
            self._keeper.release(identifier)
        return False

    def completed(self, identifiers: Iterable[int]) -> list[int]:
        """Drop releases that are written down; return those whose PUBCOMP is due."""
        due = []
        for identifier in identifiers:
            if identifier in self._releasing:
                self._releasing.discard(identifier)
                self._unreleased.pop(identifier, None)
                if identifier in self._uncompleted:
                    self._uncompleted.discard(identifier)
                    due.append(identifier)
        return due

    def released(self, identifier: int) -> None:
        """Take note that the broker's QoS 2 message is complete, or was refused by us."""
        self._unreleased.pop(identifier, None)

    def _displace(self, identifier: int) -> None:
        """Remember who waits under `identifier`: the broker wants an answer to each of them."""
        waiting = self._pending.get(identifier)
        if waiting is not None and identifier not in self._elsewhere:
            self._displaced[id(waiting)] = waiting

    def _knows_1(self, message: InboundMessage) -> bool:
        if not message.dup:
            return False
        identifier, gist = message.identifier, _gist(message)
        if self._unsent.get(identifier) == gist:
            del self._unsent[identifier]
            self._remember(message)
            return True
        if (pending := self._pending.get(identifier)) is not None:
            return _gist(pending) == gist
        return self._recent.get(identifier) == _digest(message)

    def _knows_2(self, message: InboundMessage) -> bool:
        if (pending := self._pending.get(message.identifier)) is not None:
            return pending.qos == 2 and _gist(pending) == _gist(message)
        held = self._unreleased.get(message.identifier)
        return held is not None and held == self.digest(message)

    def _remember(self, message: InboundMessage) -> None:
        self._recent.pop(message.identifier, None)
        self._recent[message.identifier] = _digest(message)
        if len(self._recent) > RECENT:
            del self._recent[next(iter(self._recent))]


def _gist(message: InboundMessage) -> int:
    """Return a digest without properties: a Message Expiry Interval counts down."""
    return hash((message.topic, message.payload))


def _digest(message: InboundMessage) -> int:
    return hash((message.topic, message.payload, message.properties, message.retain))
