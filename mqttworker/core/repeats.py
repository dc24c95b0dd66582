"""A trouble that goes on is told now and then, not at every try."""

from __future__ import annotations

from datetime import datetime, timedelta

#: The same trouble of a connection is told again after this long.
TOLD_AGAIN_AFTER = timedelta(minutes=10)


class Repeats:
    """Knows what was told last of each connection."""

    def __init__(self) -> None:
        self._told: dict[int, tuple[str, datetime]] = {}

    def is_news(self, connection_id: int, code: str, at: datetime) -> bool:
        """Whether this was not told a while ago already; then it counts as told now."""
        last, told_at = self._told.get(connection_id, ("", at))
        if code == last and timedelta() <= at - told_at < TOLD_AGAIN_AFTER:
            return False
        self._told[connection_id] = (code, at)
        return True

    def forget(self, connection_id: int) -> None:
        """Drop a connection that is not wanted any more."""
        self._told.pop(connection_id, None)
