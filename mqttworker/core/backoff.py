"""How long to wait before the next try. `draw` is a random number in [0, 1)."""

from __future__ import annotations

#: Full jitter: the wait is uniform over 0 .. top, and the top doubles from BASE to CAP.
BACKOFF_BASE = 1.0  # seconds
BACKOFF_CAP = 30.0  # seconds
#: A session that lasted this long was stable; a shorter one counts as a failure.
STABLE_AFTER = 30.0  # seconds
#: A client id never connects more often than this.
MIN_CONNECT_GAP = 1.0  # seconds

COOLDOWN_BASE = 60.0  # seconds, doubles
COOLDOWN_CAP = 600.0  # seconds
#: The same where another client with our client id is inferred from a pattern, seconds.
INFERRED_COOLDOWN_BASE = 10.0

#: After a refusal that only an operator can cure, the wait doubles between these.
REFUSED_BASE = 60.0  # seconds
REFUSED_CAP = 300.0  # seconds

#: After the broker asked for patience, the wait doubles between these, spread upwards.
BUSY_BASE = 5.0  # seconds
BUSY_CAP = 60.0  # seconds
#: How long to stay away from a broker that asks to use another one for a while.
ELSEWHERE = 30.0  # seconds


def backoff(failures: int, draw: float) -> float:
    """Return the wait in seconds after `failures` failures in a row (1 or more)."""
    return draw * _doubling(failures - 1, BACKOFF_BASE, BACKOFF_CAP)


def after_flap(failures: int, draw: float) -> float:
    """Return the wait after a session that did not last: never below half of the top.

    The broker did the work of accepting us for nothing; that must become rare for sure.
    """
    return (0.5 + 0.5 * draw) * _doubling(failures - 1, BACKOFF_BASE, BACKOFF_CAP)


def cooldown(count: int, base: float = COOLDOWN_BASE) -> float:
    """Return the wait in seconds of the `count`-th cooldown in a row (1 or more)."""
    return _doubling(count - 1, base, COOLDOWN_CAP)


def refused(count: int, draw: float) -> float:
    """Return the wait after the `count`-th refusal in a row, spread by 10 percent."""
    return _doubling(count - 1, REFUSED_BASE, REFUSED_CAP) * (0.9 + 0.1 * draw)


def busy(count: int, draw: float) -> float:
    """Return the wait after the `count`-th plea for patience in a row, up to a half longer."""
    return _doubling(count - 1, BUSY_BASE, BUSY_CAP) * (1.0 + 0.5 * draw)


def elsewhere(draw: float) -> float:
    """Return the wait before a broker that asked to use another one is tried again."""
    return ELSEWHERE * (0.5 + 0.5 * draw)


def _doubling(exponent: int, base: float, cap: float) -> float:
    # Beyond 2**20 every cap is reached; a huge exponent must not overflow.
    return float(min(cap, base * 2 ** min(exponent, 20)))
