"""Text from outside as one short line in which nothing is hidden. Standard library only.

Control characters could forge lines of a log and command a terminal; others turn the
direction of what stands beside them. Each is shown by its escape, as in Python.
"""

from __future__ import annotations


def visible(text: str) -> str:
    """Return `text` with every character that has no shape escaped, line breaks included."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _escape(each) for each in text)


def one_line(text: str, limit: int) -> str:
    """Return at most `limit` characters of `visible` text, spaces in a row as one."""
    # A character becomes one or more, so what lies beyond the limit need not be looked at;
    # the spaces before it are few in any text that means something.
    return " ".join(visible(text[: 4 * limit]).split())[:limit]


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
