"""What is remembered of the events of the last day serves all, and stops nobody."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from typing import Any

from sqlalchemy import Engine, event

from database.words import ConnectionState as S
from tests.web import rows
from webapp.past import marks
from webapp.past.marks import Recent


def test_a_slow_look_at_the_events_does_not_stop_the_others(engine: Engine) -> None:
    number = rows.record(engine)
    rows.status(engine, number, S.CONNECTED)
    start = datetime.now(UTC) - timedelta(days=1)
    recent, is_slow, goes_on = Recent(), Event(), Event()

    def wait(*_arguments: Any) -> None:
        is_slow.set()
        goes_on.wait(30)

    def look_slowly() -> None:
        with engine.connect() as transaction:
            event.listen(transaction, "before_cursor_execute", wait)
            recent.of(transaction, [number], start)

    slow = Thread(target=look_slowly)
    slow.start()
    assert is_slow.wait(30)
    done = Event()

    def look() -> None:
        with engine.connect() as transaction:
            assert recent.of(transaction, [number], start) == marks.read(
                transaction, [number], start
            )
        done.set()

    other = Thread(target=look)
    other.start()
    try:
        assert done.wait(10)
    finally:
        goes_on.set()
        slow.join()
        other.join()
