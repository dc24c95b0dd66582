"""Everything that a broker must not send."""

from __future__ import annotations

from tests.support import violations_5, violations_common
from tests.support.packets import V5, V311
from tests.support.violation import Violation


def every_violation() -> list[Violation]:
    """Return all of them, both versions."""
    common = [
        Violation(name, version, moment, data, codes)
        for version in (V311, V5)
        for moment, name, data, codes in violations_common.every_case(version)
    ]
    new = [
        Violation(name, V5, moment, data, codes)
        for moment, name, data, codes in violations_5.every_case()
    ]
    return common + new
