"""PEM text as it comes out of mails, shells, editors and other programs, taken apart.

Between the dashes of a BEGIN or END line and in a body, what can be no part of base64 is
overlooked: blanks of every kind, line ends written out as \\n, quotes, invisible characters.
What stands outside of blocks is dropped.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass

#: A hyphen, or one of the dashes that word processors make of it.
_DASH = "[\u2010-\u2015\u2212\ufe58\ufe63\uff0d-]"
_MARKER = re.compile(
    rf"{_DASH}\s{{0,3}}(BEGIN|END)\s{{1,3}}([A-Z0-9][A-Z0-9# \xa0]{{0,59}}?)\s{{0,3}}(?={_DASH})",
    re.IGNORECASE,
)
_EDGE = re.compile(rf"^(?:{_DASH})+|(?:{_DASH})+$")
_LINE_END = re.compile(r"\r|\\+[nrt]")
_INVISIBLE = re.compile("[\x00\xad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_OVERLOOKED = re.compile(r"""[\s"',>\\]+""")
#: Headers and comments within a body.
_HEADER = re.compile(r"^[^\n]{0,200}?[:#][^\n]*$", re.MULTILINE)
#: How private keys are named, also where a marker is damaged or another program wrote it.
_KEY_NAMES = re.compile(
    r"\b(?:BEGIN|END)[^\n]{0,40}?PRIVATE[\s_-]{0,3}KEY|PuTTY-User-Key-File|Private-Lines:"
    r"|privateExponent:|Private-Key:|<RSAKeyValue>"
)


@dataclass(frozen=True, slots=True)
class Block:
    """One block: its label in capitals, empty where there is none, and what it holds."""

    label: str
    #: None for what is no base64.
    der: bytes | None
    #: Whether it says of itself that it is encrypted.
    is_locked: bool = False

    @property
    def names_a_key(self) -> bool:
        """Whether the label is that of a private key, of whatever kind."""
        return "PRIVATE" in self.label and "KEY" in self.label


def is_blank(text: object) -> bool:
    """Whether nothing is there to be seen."""
    if not isinstance(text, str):
        # What is no text at all, such as false in a file, is a mistake.
        return text in (None, b"")
    return not _INVISIBLE.sub("", text).strip()


def split(text: object) -> list[Block]:
    """Return the blocks of `text` in their order; text without any is one block itself."""
    if is_blank(text):
        return []
    plain = _plain(text)
    found = list(_marked(plain))
    if not any(block.names_a_key for block in found) and _KEY_NAMES.search(plain):
        found.append(Block("PRIVATE KEY", None))
    return found or [Block("", _decoded(plain))]


def beside(text: object) -> str:
    """Return what stands outside of blocks."""
    plain, start, begun = _plain(text), 0, False
    found = []
    for marker in _MARKER.finditer(plain):
        is_end = marker[1].upper() == "END"
        if not is_end and not begun:
            found.append(plain[start : marker.start()])
        begun, start = not is_end, marker.end()
    return "\n".join(found if begun else [*found, plain[start:]])


def armoured(label: str, der: bytes) -> bytes:
    """Return `der` as PEM text."""
    body = base64.encodebytes(der).replace(b"\n", b"")
    lines = [body[start : start + 64] for start in range(0, len(body), 64)]
    name = label.encode()
    return b"\n".join((b"-----BEGIN %s-----" % name, *lines, b"-----END %s-----" % name, b""))


def _plain(text: object) -> str:
    if isinstance(text, bytes | memoryview):
        text = bytes(text).decode("latin-1")
    return _INVISIBLE.sub("", _LINE_END.sub("\n", str(text)))


def _marked(plain: str) -> Iterator[Block]:
    """Yield what stands between markers, also where one of a pair is missing."""
    markers = list(_MARKER.finditer(plain))
    begun: str | None = None
    for number, marker in enumerate(markers):
        is_end, label = marker[1].upper() == "END", " ".join(marker[2].upper().split())
        if is_end and begun is None:
            start = markers[number - 1].end() if number else 0
            yield _block(label, plain[start : marker.start()])
        elif not is_end:
            end = markers[number + 1].start() if number + 1 < len(markers) else len(plain)
            yield _block(label, plain[marker.end() : end])
        begun = None if is_end else label


def _block(label: str, body: str) -> Block:
    is_locked = "ENCRYPTED" in label or "Proc-Type" in body
    return Block(label, _decoded(_HEADER.sub("", body)), is_locked)


def _decoded(body: str) -> bytes | None:
    text = _EDGE.sub("", _OVERLOOKED.sub("", body)).rstrip("=")
    # A lone character at the end of what was cut off holds no byte.
    text = text[: len(text) - (len(text) % 4 == 1)]
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
