"""The bytes of a client, up to the end of the first request in them. Pure: no socket, no clock.

gunicorn's parser decides what a request means. This module only decides when enough of it has
come for a thread to begin, so that no thread waits for a slow client.
"""

from __future__ import annotations

import re
from enum import Enum, auto

#: Largest head, and largest body that is awaited before a thread begins, bytes.
MAX_HEAD, SMALL_BODY = 65_536, 65_536
_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = re.compile(rb"[0-9]{1,12}")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;.*)?", re.DOTALL)


class Progress(Enum):
    """How much of a request has come."""

    HEAD = auto()
    BODY = auto()
    #: All of it.
    COMPLETE = auto()
    #: The head, and a body that is too large to be awaited.
    LARGE = auto()
    #: More than MAX_HEAD without an end of the head.
    TOO_LONG = auto()


class IncomingRequest:
    """What has come of one request, and perhaps the beginning of the next."""

    def __init__(self, received: bytes = b"") -> None:
        self.progress = Progress.HEAD
        #: The path that is asked for, without its query.
        self.path = ""
        #: Whether the client waits for `100 Continue` before it sends the body.
        self.awaits_continue = False
        #: Whether the end of this request is certain, so that another may follow on its connection.
        self.may_stay_open = True
        self._data = bytearray()
        self._searched = 0
        #: Where the body begins, and where the request ends if that is known.
        self._body_at = self._end = 0
        #: Where the next chunk begins; 0 unless the body comes in chunks.
        self._chunk_at = 0
        self.feed(received)

    @property
    def is_empty(self) -> bool:
        """Whether nothing has come yet."""
        return not self._data

    def feed(self, piece: bytes) -> None:
        """Add what the client has sent."""
        self._data += piece
        if self.progress is Progress.HEAD:
            self._look_for_head()
        if self.progress is Progress.BODY:
            self._look_for_end()

    def split(self) -> tuple[bytes, bytes]:
        """Return the request, and what came after it."""
        if self._chunk_at or self.progress is not Progress.COMPLETE:
            return bytes(self._data), b""
        return bytes(self._data[: self._end]), bytes(self._data[self._end :])

    def _look_for_head(self) -> None:
        # A client may send empty lines before a request (RFC 9112, section 2.2).
        while self._data.startswith(b"\r\n"):
            del self._data[:2]
        end = self._data.find(_END_OF_HEAD, max(0, self._searched - len(_END_OF_HEAD)))
        self._searched = len(self._data)
        if end >= 0:
            self._body_at = end + len(_END_OF_HEAD)
            self._read_head(bytes(self._data[:end]))
        elif len(self._data) > MAX_HEAD:
            self.progress = Progress.TOO_LONG

    def _read_head(self, head: bytes) -> None:
        first, *lines = head.split(b"\r\n")
        target = first.split(b" ")[1:2]
        self.path = (target[0] if target else b"").partition(b"?")[0].decode("latin-1")
        fields = [(name.lower(), value.strip(b" \t")) for name, _, value in map(_parted, lines)]
        self.awaits_continue = (b"expect", b"100-continue") in [
            (name, value.lower()) for name, value in fields
        ]
        lengths = [value for name, value in fields if name == b"content-length"]
        codings = [value for name, value in fields if name == b"transfer-encoding"]
        self.progress, self._end = Progress.BODY, self._body_at
        if codings and not lengths:
            self.may_stay_open = False
            self._chunk_at = self._body_at
        elif len(lengths) == 1 and not codings and _LENGTH.fullmatch(lengths[0]):
            self._end = self._body_at + int(lengths[0])
        elif lengths or codings:
            # The parser refuses it; where it ends is anybody's guess.
            self.may_stay_open = False

    def _look_for_end(self) -> None:
        is_here = self._is_last_chunk_here() if self._chunk_at else len(self._data) >= self._end
        expected = max(self._end, self._chunk_at)
        if is_here:
            self.progress = Progress.COMPLETE
        elif max(expected, len(self._data)) - self._body_at > SMALL_BODY:
            self.progress, self.may_stay_open = Progress.LARGE, False

    def _is_last_chunk_here(self) -> bool:
        """Whether all chunks are here, or one that is none: the parser refuses that."""
        while (line_end := self._data.find(b"\r\n", self._chunk_at)) >= 0:
            size = _CHUNK_SIZE.fullmatch(bytes(self._data[self._chunk_at : line_end]))
            if size is None:
                return True
            if not int(size[1], 16):
                # An empty line, or trailers and an empty line.
                return self._data.find(_END_OF_HEAD, line_end) >= 0
            self._chunk_at = line_end + 2 + int(size[1], 16) + 2
        return False


def _parted(line: bytes) -> tuple[bytes, bytes, bytes]:
    return line.partition(b":")
