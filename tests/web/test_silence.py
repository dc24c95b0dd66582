"""What pages and health say of a connection whose worker says nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import Engine

from database.words import WorkerState
from tests.web import rows
from tests.web.conftest import Visitor

HEALTH = "/api/v1/mqtt/health/"


@pytest.mark.parametrize(
    ("beat", "code"),
    [
        (None, "no_worker"),
        ({"age": 60}, "worker_silent"),
        ({"state": WorkerState.STOPPED}, "worker_stopped"),
        ({"state": WorkerState.STANDBY}, "worker_standby"),
        ({"boot_id": "a later one"}, "not_picked_up"),
    ],
)
@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
def test_the_reason_names_what_the_worker_lacks(
    operator: Visitor, engine: Engine, beat: dict[str, Any] | None, code: str
) -> None:
    if beat is not None:
        rows.heartbeat(engine, **beat)
    rows.status(engine, rows.record(engine))
    (said,) = json.loads(operator.get(HEALTH).text)["connections"]
    assert said["reason_code"] == code
    assert "unknown " not in said["reason"]
