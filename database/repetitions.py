"""Which events only repeat what was told: one rule for timeline, ribbons and retention."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Table, case, false, func, select

from database.models import ConnectionEvent
from database.words import DOWN_STATES

_event: Table = ConnectionEvent.__table__  # type: ignore[assignment]
_DOWN = sorted(DOWN_STATES)


def is_repetition() -> ColumnElement[bool]:
    """Return whether an event is another try that ended for the reason of the event before it.

    There was no session before the event, there is none after it, and the reason is the one
    that was told last since there was a session. The worker notes this with every event; of
    rows without the note the event before is looked up.
    """
    id_, before = _event.c.id, _event.alias("event_before")
    is_try = _event.c.state.in_(_DOWN) & _event.c.previous_state.is_not(None)
    last_reason = (
        select(case((before.c.state.in_(_DOWN), before.c.reason_code)))
        .where(before.c.connection_id == _event.c.connection_id, before.c.id < id_)
        .order_by(before.c.id.desc())
        .limit(1)
        .correlate(_event)
        .scalar_subquery()
    )
    looked_up = (
        is_try
        & _event.c.previous_state.in_(_DOWN)
        & func.coalesce(last_reason == _event.c.reason_code, false())
    )
    noted = _event.c.is_repetition
    return case((noted.is_not(None), noted), else_=looked_up)
