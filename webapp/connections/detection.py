"""How long a dead network stays unnoticed: what a Keep Alive means at each kind of broker. Pure.

The rules are what the brokers do, read and measured, not what the specification asks of
them. The page computes the same from the same numbers while one types.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from webapp.wording import texts
from webapp.wording.language import digits
from webapp.wording.lazy import lazy_gettext as _

#: Wanted at every broker that heeds the Keep Alive, and the longest that gives it, seconds.
TARGET_S, ADVISED_S = 10, 2
_LONGEST_S = 65_535


@dataclass(frozen=True, slots=True)
class Rule:
    """When somebody notices: from `factor` Keep Alives and `plus` on, `spread` later at most."""

    who: Any
    factor: float
    #: The answer, with `{from}` and `{to}` in seconds.
    text: Any
    plus: int = 0
    spread: int = 0
    #: Whether the Keep Alives are cut to whole seconds.
    whole: bool = False
    #: The shortest Keep Alive that is heeded, seconds.
    least: int = 0

    def words(self, keep_alive: object) -> str:
        """Return the answer for a Keep Alive in seconds; a dash for what is none."""
        if not isinstance(keep_alive, int) or not 1 <= keep_alive <= _LONGEST_S:
            return texts.NOTHING
        start = self.factor * max(keep_alive, self.least)
        start = (int(start) if self.whole else start) + self.plus
        words = str(self.text).replace("{from}", digits(f"{start:g}"))
        return words.replace("{to}", digits(f"{start + self.spread:g}"))


RULES = (
    Rule("mosquitto", 1.5, _("{from} to {to} s"), plus=1, spread=6, whole=True),
    Rule("RabbitMQ", 3, _("up to {to} s")),
    Rule(_("EMQX, HiveMQ, aedes and others that follow the specification"), 1.5, "{to} s"),
    Rule("AWS IoT", 1.5, _("at least {from} s"), least=30),
    Rule(_("Hawser itself"), 1.5, _("within {to} s"), plus=1),
)
