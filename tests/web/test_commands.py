"""Commands: what the web asks for, refuses to ask for, and tells of what became of it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from sqlalchemy import Engine, select, update

from database.clock import database_now
from database.models import Command, CommandResult
from database.words import CommandState, WorkerState
from database.words import ConnectionState as S
from tests.web import rows
from tests.web.conftest import Visitor
from tests.web.forms import LIST, NEW, SECRET, filters, form, one

TEST = LIST + "test"
COMMAND = LIST + "command/"
JSON = {"Accept": "application/json"}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Commands are plain rows; tests/worker/service runs them on both databases."""
    return sqlite_url


def commands(engine: Engine) -> list[Any]:
    with engine.connect() as transaction:
        return list(transaction.execute(select(Command.__table__).order_by(Command.id)))


def told(visitor: Visitor, command_id: int) -> dict[str, Any]:
    answer = visitor.get(f"/admin/commands/{command_id}")
    assert answer.status_code == 200
    return dict(answer.get_json())


# --- asking


def test_a_reconnect_is_asked_for_and_answered_with_where_to_look(
    operator: Visitor, worker: Engine
) -> None:
    number = rows.record(worker)
    version = one(worker, "select version from config_version")
    answer = operator.post(COMMAND, {"id": number, "kind": "reconnect"}, headers=JSON)
    assert answer.status_code == 202
    assert operator.get(answer.get_json()["url"]).get_json()["state"] == "asked"
    (row,) = commands(worker)
    assert (row.kind, row.connection_id) == ("reconnect", number)
    assert row.requested_by.startswith("operator-")
    # A command is no edit: nobody has to look at the records again.
    assert one(worker, "select version from config_version") == version


@pytest.mark.parametrize(
    ("heartbeat", "words", "cure"),
    [
        (None, "No worker has ever reported", "supervisorctl start mqttworker"),
        ({"age": 42}, "silent for 4", "supervisorctl status"),
        ({"state": WorkerState.STOPPED}, "The worker is stopped", "supervisorctl start mqttworker"),
        ({"state": WorkerState.STANDBY}, "stands by", "takes over"),
    ],
)
def test_without_a_worker_nothing_is_asked_and_the_cure_is_told(
    operator: Visitor, engine: Engine, heartbeat: dict[str, Any] | None, words: str, cure: str
) -> None:
    if heartbeat is not None:
        rows.heartbeat(engine, **heartbeat)
    number = rows.record(engine)
    answers = [
        operator.post(COMMAND, {"id": number, "kind": "reconnect"}, headers=JSON),
        operator.post(COMMAND, {"id": number, "kind": "test"}, headers=JSON),
        operator.post(TEST, form(name="another"), headers=JSON),
    ]
    for answer in answers:
        assert answer.status_code == 409
        assert words in answer.get_json()["sentence"]
        assert cure in answer.get_json()["next_step"]
    for path, data in (
        (COMMAND, {"id": number, "kind": "reconnect"}),
        (LIST + "action/", {"rowid": number, "action": "reconnect"}),
        (TEST, form(name="another")),
    ):
        assert words in operator.post(path, data, follow_redirects=True).text
    assert commands(engine) == []


def test_many_are_asked_at_once_and_disabled_ones_left_out(
    operator: Visitor, worker: Engine
) -> None:
    ids = [rows.record(worker, name) for name in ("one", "two")]
    off = rows.record(worker, "off", is_enabled=False)
    data = {"rowid": [*ids, off], "action": "reconnect"}
    page = operator.post(LIST + "action/", data, follow_redirects=True).text
    assert "2 connections asked to reconnect: “one”, “two”. 1 disabled one left out." in page
    assert [row.connection_id for row in commands(worker)] == ids
    data = {"rowid": [off], "action": "clear_cooldown"}
    page = operator.post(LIST + "action/", data, follow_redirects=True).text
    assert "enable the selected ones first" in page


def test_a_viewer_neither_asks_nor_reads_what_was_asked(viewer: Visitor, worker: Engine) -> None:
    number = rows.record(worker)
    data = {"id": number, "kind": "reconnect"}
    assert viewer.post(COMMAND, data).status_code == 403
    assert viewer.post(TEST, form()).status_code == 403
    assert viewer.get(f"/admin/commands/{rows.command(worker)}").status_code == 403
    assert "Reconnect" not in viewer.get(f"{LIST}details/?id={number}").text


def test_a_request_without_its_token_is_refused(operator: Visitor, worker: Engine) -> None:
    data = {"id": rows.record(worker), "kind": "reconnect"}
    assert operator.client.post(COMMAND, data=data).status_code == 400
    assert operator.client.post(TEST, data=form()).status_code == 400
    assert commands(worker) == []


def test_what_cannot_be_asked_for_is_refused(operator: Visitor, worker: Engine) -> None:
    number = rows.record(worker)
    assert operator.post(COMMAND, {"id": number, "kind": "publish"}).status_code == 400
    assert operator.post(COMMAND, {"id": "x", "kind": "reconnect"}).status_code == 404
    assert operator.post(COMMAND, {"id": 4711, "kind": "reconnect"}).status_code == 404
    assert operator.post(f"{TEST}?id=4711", form()).status_code == 404
    assert operator.get("/admin/commands/4711").status_code == 404
    assert operator.get("/admin/commands/x").status_code == 404


def test_old_commands_and_what_tests_were_given_are_forgotten(
    operator: Visitor, worker: Engine
) -> None:
    operator.post(TEST, form(username="me", password=SECRET), headers=JSON)
    gone = rows.command(worker, age=2 * 24 * 3600)
    with worker.begin() as transaction:
        transaction.execute(
            update(Command).where(Command.id != gone).values(requested_at=database_now(-61))
        )
    operator.post(TEST, form(), headers=JSON)
    first, second = commands(worker)
    assert first.parameters is None
    assert second.parameters is not None


def test_what_a_test_was_given_is_forgotten_as_soon_as_its_end_is_read(
    operator: Visitor, worker: Engine
) -> None:
    operator.post(TEST, form(username="me", password=SECRET), headers=JSON)
    (asked,) = commands(worker)
    rows.result(worker, asked.id, CommandState.ACCEPTED)
    assert not told(operator, asked.id)["final"]
    assert SECRET in commands(worker)[0].parameters
    with worker.begin() as transaction:
        done = {"code": "tested", "detail": {}}
        transaction.execute(update(CommandResult).values(state=CommandState.DONE, result=done))
    assert told(operator, asked.id)["final"]
    assert commands(worker)[0].parameters is None


# --- testing


def parameters(engine: Engine) -> dict[str, Any]:
    """Return what the last test is to test."""
    return dict(json.loads(commands(engine)[-1].parameters))


def test_the_unsaved_form_is_tested_and_nothing_of_it_is_stored(
    operator: Visitor, worker: Engine
) -> None:
    data = form(username="me", password=SECRET, tls="y") | filters("a/#", "")
    answer = operator.post(TEST, data, headers=JSON)
    assert answer.status_code == 202
    found = parameters(worker)
    assert found["record"]["password"] == SECRET
    assert (found["record"]["port"], found["record"]["tls"]) == (1883, True)
    wanted = {"topic_filter": "a/#", "qos": 1, "is_enabled": True, "expected_every_s": 0}
    assert found["subscriptions"] == [wanted]
    assert found["options"] == {"use_real_client_id": False}
    assert one(worker, "select count(*) from connection") == 0
    assert SECRET not in one(worker, "select parameters from command")
    number = answer.get_json()["id"]
    rows.result(worker, number, CommandState.ACCEPTED)
    for page in (f"/admin/commands/{number}", f"/admin/commands/{number}/page"):
        assert SECRET not in operator.get(page).text


def test_a_form_that_a_save_would_refuse_is_refused_at_the_same_fields(
    operator: Visitor, worker: Engine
) -> None:
    rows.record(worker, "plant-1")
    wrong = form(host="mqtt://x", protocol="3.1.1", password=SECRET)
    data = wrong | filters("a/#/b")
    answer = operator.post(TEST, data, headers=JSON)
    assert answer.status_code == 422
    errors = answer.get_json()["errors"]
    assert set(errors) == {"name", "host", "username", "subscriptions-0-topic_filter"}
    assert "without mqtt://" in errors["host"]
    page = operator.post(TEST, data).text
    assert "without mqtt://" in page
    assert f'action="{NEW}' in page
    assert SECRET not in page
    assert commands(worker) == []


def test_secrets_left_blank_are_those_that_are_stored(operator: Visitor, worker: Engine) -> None:
    operator.post(NEW, form(username="me", password=SECRET))
    number = one(worker, "select id from connection")
    data = form(username="me", host="Broker.Example", keepalive_s="9", use_real_client_id="y")
    operator.post(f"{TEST}?id={number}", data, headers=JSON)
    found = parameters(worker)
    assert (found["record"]["password"], found["record"]["id"]) == (SECRET, number)
    assert found["options"] == {"use_real_client_id": True}
    operator.post(f"{TEST}?id={number}", form(username="me", clear_password="y"), headers=JSON)
    assert parameters(worker)["record"]["password"] is None
    assert one(worker, "select keepalive_s from connection") == 5
    assert one(worker, "select revision from connection") == 1


def test_a_stored_record_is_tested_with_its_secrets(operator: Visitor, worker: Engine) -> None:
    operator.post(NEW, form(username="me", password=SECRET) | filters("a/#"))
    number = one(worker, "select id from connection")
    assert operator.post(COMMAND, {"id": number, "kind": "test"}, headers=JSON).status_code == 202
    found = parameters(worker)
    assert found["record"]["password"] == SECRET
    assert found["subscriptions"][0]["topic_filter"] == "a/#"


def test_a_secret_that_no_key_opens_is_told_instead_of_tested(
    operator: Visitor, worker: Engine
) -> None:
    number = rows.record(worker, username="me")
    rows.sql(worker, "update connection set password = 'no such key'")
    answer = operator.post(COMMAND, {"id": number, "kind": "test"}, headers=JSON)
    assert answer.status_code == 409
    assert "password cannot be decrypted" in answer.get_json()["sentence"]
    answer = operator.post(f"{TEST}?id={number}", form(username="me"), headers=JSON)
    assert "cannot be decrypted" in answer.get_json()["errors"]["password"]


# --- what became of it


def test_a_command_is_followed_from_asked_to_done(operator: Visitor, worker: Engine) -> None:
    number = rows.command(worker)
    first = told(operator, number)
    assert (first["state"], first["final"]) == ("asked", False)
    rows.result(worker, number, CommandState.ACCEPTED)
    second = told(operator, number)
    assert (second["state"], second["final"]) == ("accepted", False)
    with worker.begin() as transaction:
        done = {"code": "reconnecting", "detail": {}}
        transaction.execute(update(CommandResult).values(state=CommandState.DONE, result=done))
    last = told(operator, number)
    assert (last["state"], last["final"], last["tone"]) == ("done", True, "good")
    assert "connects anew" in last["sentence"]


def test_a_test_under_way_says_which_step_runs(operator: Visitor, worker: Engine) -> None:
    number = rows.command(worker, "test")
    steps = [{"name": "dns", "state": "ok"}, {"name": "tcp", "state": "running"}]
    rows.result(worker, number, CommandState.ACCEPTED, result={"steps": steps})
    found = told(operator, number)
    assert (found["sentence"], found["final"]) == ("Testing: TCP …", False)
    assert "runs" in found["html"]


def test_what_the_worker_does_not_take_is_told_and_given_up(
    operator: Visitor, worker: Engine
) -> None:
    late, lost = (
        told(operator, rows.command(worker, age=6)),
        told(operator, rows.command(worker, age=36)),
    )
    assert "has not taken it within 6 s" in late["sentence"]
    assert "supervisorctl status" in late["next_step"]
    assert (late["final"], lost["final"]) == (False, True)


def test_a_worker_that_ended_in_the_middle_is_told(operator: Visitor, worker: Engine) -> None:
    number = rows.command(worker)
    rows.result(worker, number, CommandState.ACCEPTED, boot_id="an-earlier-boot")
    found = told(operator, number)
    assert (found["final"], found["state"]) == (True, "failed")
    assert found["sentence"] == "The worker ended before it finished."


def test_a_worker_that_stopped_before_it_took_a_command_is_told(
    operator: Visitor, engine: Engine
) -> None:
    rows.heartbeat(engine, state=WorkerState.STOPPED)
    found = told(operator, rows.command(engine))
    assert (found["final"], "The worker is stopped" in found["sentence"]) == (True, True)


def test_the_steps_of_a_test_are_told_in_words_with_the_next_step(
    operator: Visitor, worker: Engine
) -> None:
    number = rows.command(worker)
    outcome = rows.failed_test(host="<script>")
    rows.result(worker, number, CommandState.FAILED, result=outcome)
    found = told(operator, number)
    assert found["sentence"] == "The connection does not work: it fails at TCP."
    for text in (found["html"], operator.get(f"/admin/commands/{number}/page").text):
        assert "Nothing accepts connections on &lt;script&gt;:1883." in text
        assert "Check the port, and that the broker runs." in text
        assert "Tried with MQTT 5 too" in text
        assert "CN=broker, valid until 2 Jan 2027, 03:04:05 UTC" in text


@pytest.mark.parametrize("odd", ["[]", "{}", '{"steps": 7}', '{"steps": [{}]}', '{"code": 1}'])
def test_a_result_that_makes_no_sense_breaks_no_page(
    operator: Visitor, worker: Engine, odd: str
) -> None:
    number = rows.command(worker)
    rows.result(worker, number, CommandState.DONE)
    rows.sql(worker, "update command_result set result = :odd", odd=odd)
    assert told(operator, number)["final"]


def test_the_page_without_scripts_looks_again_until_the_end(
    operator: Visitor, worker: Engine
) -> None:
    number = rows.record(worker)
    answer = operator.post(COMMAND, {"id": number, "kind": "reconnect"}, follow_redirects=True)
    assert "Asked; waiting for the worker." in answer.text
    assert answer.headers["Refresh"] == "1"
    rows.result(worker, commands(worker)[-1].id, CommandState.DONE, result={"code": "reconnecting"})
    answer = operator.get(answer.request.path)
    assert "connects anew" in answer.text
    assert "Refresh" not in answer.headers


def test_a_cooldown_can_be_cleared_only_where_something_waits(
    operator: Visitor, worker: Engine
) -> None:
    up, down = rows.record(worker, "up"), rows.record(worker, "down")
    rows.status(worker, up)
    rows.status(worker, down, S.COOLDOWN, next_attempt_at=database_now(60.0))
    listing = operator.get(LIST).text
    assert re.findall(r"Clear cooldown: (\w+)", listing) == ["down"]
    assert "Clear cooldown" in operator.get(f"{LIST}details/?id={down}").text
    assert "Clear cooldown" not in operator.get(f"{LIST}details/?id={up}").text


def test_a_pages_own_script_is_told_what_is_wrong_without_an_error_of_the_browser(
    operator: Visitor,
) -> None:
    headers = JSON | {"Hawser-Own-Script": "yes"}
    answer = operator.post(TEST, {"name": ""}, headers=headers)
    assert (answer.status_code, "name" in answer.get_json()["errors"]) == (200, True)
