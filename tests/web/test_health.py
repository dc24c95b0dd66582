"""The health contract."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import Engine
from werkzeug.test import TestResponse

from database.clock import database_now
from database.version import VERSION
from database.words import ConnectionState as S
from database.words import WorkerState
from tests.support.databases import ONE_DATABASE
from tests.web import rows
from tests.web.conftest import Visitor, signed_in

HEALTH = "/api/v1/mqtt/health/"
TOP_KEYS = ["status", "output", "version", "time", "worker", "summary", "connections"]
WORKER_KEYS = [
    "state",
    "stale",
    "heartbeat_at",
    "heartbeat_age_s",
    "stale_after_s",
    "started_at",
    "hostname",
    "pid",
    "worker_id",
    "boot_id",
    "version",
    "hub_lag_ms",
]
SUMMARY_KEYS = ["total", "enabled", "connected", "by_state"]
CONNECTION_KEYS = [
    "id",
    "name",
    "site",
    "enabled",
    "state",
    "reason_code",
    "reason",
    "since",
    "connected_since",
    "attempt",
    "next_attempt_at",
    "applied",
    "host",
    "port",
    "client_id",
    "status_topic",
]
PRIVATE_WORKER_KEYS = {"hostname", "pid", "worker_id", "boot_id"}
PRIVATE_CONNECTION_KEYS = {"host", "port", "client_id", "status_topic"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def body(answer: TestResponse) -> dict[str, object]:
    found: dict[str, object] = json.loads(answer.text)
    return found


def test_the_answer_to_a_signed_in_caller_has_exactly_the_fields_of_the_contract(
    operator: Visitor, worker: Engine
) -> None:
    rows.status(worker, rows.record(worker))
    found = json.loads(operator.get(HEALTH).text)
    assert list(found) == TOP_KEYS
    assert list(found["worker"]) == WORKER_KEYS
    assert list(found["summary"]) == SUMMARY_KEYS
    assert list(found["connections"][0]) == CONNECTION_KEYS
    assert found["version"] == VERSION
    assert found["worker"]["stale_after_s"] == 6.0
    for moment in (
        found["time"],
        found["worker"]["heartbeat_at"],
        found["connections"][0]["since"],
    ):
        assert TIME.fullmatch(moment)


def test_an_anonymous_answer_holds_no_host_client_id_topic_or_machine(
    anonymous: Visitor, worker: Engine
) -> None:
    number = rows.record(worker, "plant-1", host="hidden.example", username="hidden-user")
    rows.status(
        worker,
        number,
        S.BACKOFF,
        reason_code="tcp_refused",
        detail={"host": "hidden.example", "port": 1883},
        client_id="hidden-id",
        status_topic="hidden/topic",
    )
    answer = anonymous.get(HEALTH)
    assert "hidden" not in answer.text
    assert "secret-machine" not in answer.text
    found = json.loads(answer.text)
    assert set(found["connections"][0]) == set(CONNECTION_KEYS) - PRIVATE_CONNECTION_KEYS
    assert set(found["worker"]) == set(WORKER_KEYS) - PRIVATE_WORKER_KEYS
    assert found["connections"][0]["reason"] == "connection refused"
    assert "plant-1 (retrying, connection refused)" in found["output"]


def test_a_signed_in_caller_reads_the_whole_sentence(operator: Visitor, worker: Engine) -> None:
    number = rows.record(worker)
    rows.status(
        worker,
        number,
        S.BACKOFF,
        reason_code="tcp_refused",
        detail={"host": "b.example", "port": 1883},
    )
    found = json.loads(operator.get(HEALTH).text)
    assert found["connections"][0]["reason"] == "Nothing accepts connections on b.example:1883."


@ONE_DATABASE
@pytest.mark.parametrize(
    "name", ["plant-1", "plant-2", "nobody", "", "%00", "plant-1&connection=x"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("more", ["", "&strict=1"])
def test_status_only_tells_nobody_which_connections_there_are(
    make_app: Callable[..., Flask], worker: Engine, method: str, name: str, more: str
) -> None:
    rows.status(worker, rows.record(worker, "plant-1"), S.CONNECTED)
    rows.record(worker, "plant-2", is_enabled=False)
    visitor = Visitor(make_app(health_anonymous="status").test_client())
    ways: tuple[dict[str, str], ...] = (
        {},
        {"Accept-Encoding": "gzip"},
        {"Accept": "application/health+json"},
    )
    for headers in (*ways, {"If-None-Match": "*"}, {"Cookie": "hawser-session=x"}):
        told, plain = (
            visitor.client.open(HEALTH + query, method=method, headers=headers)
            for query in (f"?connection={name}{more}", f"?{more}")
        )
        assert told.status_code == plain.status_code == 200
        assert _without_time(told) == _without_time(plain)


def _without_time(answer: TestResponse) -> tuple[object, list[tuple[str, str]]]:
    found = {**json.loads(answer.text or "{}"), "time": None}
    return found, [(k, v) for k, v in answer.headers if k != "Date"]


def test_status_only_keeps_the_filter_for_who_is_signed_in(
    make_app: Callable[..., Flask], worker: Engine
) -> None:
    visitor = signed_in(make_app(health_anonymous="status"), "viewer")
    assert visitor.get(HEALTH + "?connection=nobody").status_code == 404


def test_status_only_is_all_that_anonymous_callers_get_if_so_set(
    make_app: Callable[..., Flask], worker: Engine
) -> None:
    visitor = Visitor(make_app(health_anonymous="status").test_client())
    assert set(body(visitor.get(HEALTH))) == {"status", "time"}


def test_anonymous_callers_get_everything_if_so_set(
    make_app: Callable[..., Flask], worker: Engine
) -> None:
    rows.status(worker, rows.record(worker))
    found = json.loads(Visitor(make_app(health_anonymous="full").test_client()).get(HEALTH).text)
    assert list(found["connections"][0]) == CONNECTION_KEYS


def test_all_enabled_connected_is_pass(anonymous: Visitor, worker: Engine) -> None:
    rows.status(worker, rows.record(worker, "up"))
    rows.record(worker, "off", is_enabled=False)
    answer = anonymous.get(HEALTH)
    assert (answer.status_code, body(answer)["status"]) == (200, "pass")
    assert body(answer)["summary"] == {
        "total": 2,
        "enabled": 1,
        "connected": 1,
        "by_state": {"connected": 1, "disabled": 1},
    }


def test_nothing_enabled_and_a_fresh_worker_is_pass(anonymous: Visitor, worker: Engine) -> None:
    assert body(anonymous.get(HEALTH))["status"] == "pass"


def test_one_down_beyond_the_grace_is_warn_and_fails_only_when_strict(
    anonymous: Visitor, worker: Engine
) -> None:
    rows.status(worker, rows.record(worker, "up"))
    rows.status(worker, rows.record(worker, "down"), S.BACKOFF, for_seconds=11)
    answer, strict = anonymous.get(HEALTH), anonymous.get(HEALTH + "?strict=1")
    assert (answer.status_code, body(answer)["status"]) == (200, "warn")
    assert (strict.status_code, body(strict)["status"]) == (503, "warn")
    assert strict.headers["Retry-After"]


def test_one_down_within_the_grace_does_not_warn(anonymous: Visitor, worker: Engine) -> None:
    rows.status(worker, rows.record(worker, "up"))
    rows.status(worker, rows.record(worker, "down"), S.CONNECTING, for_seconds=3, attempt=1)
    assert body(anonymous.get(HEALTH))["status"] == "pass"


def test_a_new_try_does_not_start_the_grace_anew(anonymous: Visitor, worker: Engine) -> None:
    rows.status(worker, rows.record(worker, "up"))
    down = rows.record(worker, "down")
    rows.status(worker, down, S.CONNECTING, for_seconds=1, attempt=7)
    rows.event(worker, down, S.CONNECTING, previous_state=S.BACKOFF, reason_code="retry")
    assert body(anonymous.get(HEALTH))["status"] == "warn"


def test_a_loss_a_moment_ago_is_within_the_grace_after_several_tries(
    anonymous: Visitor, worker: Engine
) -> None:
    rows.status(worker, rows.record(worker, "up"))
    down = rows.record(worker, "down")
    rows.status(worker, down, S.BACKOFF, for_seconds=1, attempt=3)
    rows.event(worker, down, S.BACKOFF, previous_state=S.CONNECTED, reason_code="peer_closed")
    assert body(anonymous.get(HEALTH))["status"] == "pass"


def test_a_moment_in_the_future_grants_no_grace(anonymous: Visitor, worker: Engine) -> None:
    rows.status(worker, rows.record(worker, "up"))
    down = rows.record(worker, "down")
    rows.status(worker, down, S.BACKOFF, for_seconds=-3600, attempt=3)
    rows.event(worker, down, S.BACKOFF, previous_state=S.CONNECTED, at=database_now(3600.0))
    assert body(anonymous.get(HEALTH))["status"] == "warn"


def test_a_heartbeat_from_the_future_is_none(anonymous: Visitor, engine: Engine) -> None:
    rows.heartbeat(engine, age=-86_400)
    answer = anonymous.get(HEALTH)
    assert answer.status_code == 503
    assert json.loads(answer.text)["worker"]["stale"]


def test_none_of_the_enabled_connected_beyond_the_grace_is_fail(
    anonymous: Visitor, worker: Engine
) -> None:
    rows.status(worker, rows.record(worker), S.REFUSED, for_seconds=60)
    answer = anonymous.get(HEALTH)
    assert (answer.status_code, body(answer)["status"]) == (503, "fail")
    assert answer.headers["Retry-After"]


def test_degraded_is_warn(anonymous: Visitor, worker: Engine) -> None:
    rows.status(worker, rows.record(worker), S.DEGRADED, for_seconds=1)
    assert body(anonymous.get(HEALTH))["status"] == "warn"


def test_a_stale_heartbeat_makes_every_state_unknown(anonymous: Visitor, engine: Engine) -> None:
    rows.heartbeat(engine, age=7)
    rows.status(engine, rows.record(engine, "up"))
    rows.record(engine, "off", is_enabled=False)
    answer = anonymous.get(HEALTH)
    found = json.loads(answer.text)
    assert (answer.status_code, found["status"]) == (503, "fail")
    assert found["worker"]["stale"] is True
    assert found["summary"]["by_state"] == {"unknown": 2}
    assert found["summary"]["connected"] == 0


def test_a_stopped_worker_is_fail_at_once_and_says_so(anonymous: Visitor, engine: Engine) -> None:
    rows.heartbeat(engine, state=WorkerState.STOPPED)
    rows.status(engine, rows.record(engine))
    answer = anonymous.get(HEALTH)
    found = json.loads(answer.text)
    assert answer.status_code == 503
    assert found["worker"]["state"] == "stopped"
    assert found["connections"][0]["state"] == "unknown"


def test_a_worker_that_stands_by_alone_is_fail(anonymous: Visitor, engine: Engine) -> None:
    rows.heartbeat(engine, state=WorkerState.STANDBY)
    answer = anonymous.get(HEALTH)
    assert answer.status_code == 503
    assert json.loads(answer.text)["worker"]["state"] == "standby"


def test_the_running_worker_counts_beside_a_standby_that_beat_later(
    anonymous: Visitor, engine: Engine
) -> None:
    rows.heartbeat(engine, age=2)
    rows.heartbeat(engine, age=0, worker_id="w2", boot_id="b2", state=WorkerState.STANDBY)
    rows.status(engine, rows.record(engine))
    found = json.loads(anonymous.get(HEALTH).text)
    assert found["worker"]["state"] == "running"
    assert found["status"] == "pass"


def test_no_heartbeat_at_all_is_fail_with_an_unknown_worker(
    operator: Visitor, engine: Engine
) -> None:
    answer = operator.get(HEALTH)
    found = json.loads(answer.text)["worker"]
    assert answer.status_code == 503
    assert (found["state"], found["stale"], found["heartbeat_at"]) == ("unknown", True, None)
    assert list(found) == WORKER_KEYS


def test_a_row_of_an_earlier_worker_process_is_pending(anonymous: Visitor, engine: Engine) -> None:
    rows.heartbeat(engine, started_at=database_now(-1.0))
    rows.status(engine, rows.record(engine), boot_id="an-earlier-boot")
    found = json.loads(anonymous.get(HEALTH).text)
    assert found["connections"][0]["state"] == "pending"
    assert found["status"] == "pass", "the worker started a second ago: within the grace"


def test_one_connection_can_be_asked_for_by_name(anonymous: Visitor, worker: Engine) -> None:
    rows.status(worker, rows.record(worker, "up"))
    rows.status(worker, rows.record(worker, "down"), S.REFUSED)
    found = body(anonymous.get(HEALTH + "?connection=up"))
    assert found["status"] == "pass"
    assert [entry["name"] for entry in found["connections"]] == ["up"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["nobody", "", "a%00b", "%ff"])
def test_an_unknown_name_is_404_and_json(anonymous: Visitor, worker: Engine, name: str) -> None:
    answer = anonymous.get(f"{HEALTH}?connection={name}")
    assert answer.status_code == 404
    assert "output" in body(answer)


@ONE_DATABASE
@pytest.mark.parametrize("path", [HEALTH, HEALTH.rstrip("/")])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_both_spellings_and_methods_answer_directly_and_uncached(
    anonymous: Visitor, worker: Engine, path: str, method: str
) -> None:
    answer = anonymous.client.open(path, method=method)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert (answer.data == b"") == (method == "HEAD")


def test_the_media_type_follows_accept(anonymous: Visitor, worker: Engine) -> None:
    wanted = "application/health+json"
    assert anonymous.get(HEALTH).mimetype == "application/json"
    assert anonymous.get(HEALTH, headers={"Accept": wanted}).mimetype == wanted


def test_a_database_out_of_reach_is_503_and_json(unreachable_app: Flask) -> None:
    visitor = Visitor(unreachable_app.test_client())
    answer = visitor.get(HEALTH)
    assert (answer.status_code, answer.mimetype) == (503, "application/json")
    assert list(body(answer)) == TOP_KEYS
    assert "nonexistent" not in answer.text


def test_a_database_without_tables_is_503_and_says_why(
    make_app: Callable[..., Flask], empty_database_url: str
) -> None:
    visitor = Visitor(make_app(database_url=empty_database_url).test_client())
    answer = visitor.get(HEALTH)
    assert answer.status_code == 503
    assert "schema" in str(body(answer)["output"])
    assert visitor.get("/readyz").status_code == 503
    assert visitor.get("/livez").status_code == 200


def test_readyz_is_200_at_head(anonymous: Visitor) -> None:
    assert anonymous.get("/readyz").status_code == 200


def test_another_method_is_refused_in_json(anonymous: Visitor) -> None:
    answer = anonymous.post(HEALTH)
    assert (answer.status_code, answer.mimetype) == (405, "application/json")


def test_reading_takes_a_fixed_number_of_statements(app: Flask, worker: Engine) -> None:
    from sqlalchemy import event

    from webapp.store import db

    for number in range(30):
        rows.status(worker, rows.record(worker, f"c{number}"))
    statements: list[str] = []
    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
    app.test_client().get(HEALTH)
    rows.sql(worker, "update worker_heartbeat set hub_lag_ms = 4")
    statements.clear()
    app.test_client().get(HEALTH)
    selects = [statement for statement in statements if "FROM" in statement]
    assert len(selects) == 3, "workers, connections and the version of the records"
    assert not any("password" in statement for statement in selects)


def test_a_question_about_one_connection_leaves_the_verdict_that_all_share(
    app: Flask, anonymous: Visitor, worker: Engine
) -> None:
    rows.status(worker, rows.record(worker, "one"))
    anonymous.get(HEALTH)
    shared = dict(app.extensions["hawser-verdicts"])
    assert anonymous.get(HEALTH + "?connection=one").status_code == 200
    now = app.extensions["hawser-verdicts"]
    assert all(now[language][0] is picture for language, (picture, _) in shared.items())
