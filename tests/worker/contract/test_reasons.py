"""Every reason of the vocabulary is produced by a test, and comes with all that it says."""

from __future__ import annotations

import ast
from functools import cache

import pytest

from database.reasons import REASONS
from mqttworker.core.cause import completed
from tests.structure.source import ROOT
from tests.support.certificates import Certificates
from tests.support.scripted_broker import ScriptedBroker
from tests.worker.contract.conftest import OpenTry
from tests.worker.contract.scenes import SCENES, Props

#: What the manager knows of every connection, beside the reason.
KNOWN = ("host", "port", "client_id", "protocol", "server")

#: Codes that no session reports, by the test that has the service or a reader make them:
#: file, test, codes.
_TESTS = (
    (
        "tests/worker/service/test_following_wishes.py",
        "test_a_record_enabled_later_is_followed_within_two_seconds",
        "enabled disabled",
    ),
    (
        "tests/worker/service/test_following_wishes.py",
        "test_an_edit_reconnects_only_its_record",
        "config_changed",
    ),
    (
        "tests/worker/service/test_following_wishes.py",
        "test_states_and_events_tell_the_way_to_connected",
        "worker_start success",
    ),
    (
        "tests/worker/service/test_following_wishes.py",
        "test_corrupt_rows_cost_only_themselves",
        "secret_undecryptable same_client_id",
    ),
    (
        "tests/worker/service/test_following_wishes.py",
        "test_a_refused_subscription_is_degraded_and_names_the_filter",
        "subscribe_refused",
    ),
    (
        "tests/worker/service/test_commands.py",
        "test_reconnect_and_clear_cooldown_say_what_was_done",
        "operator_reconnect",
    ),
    (
        "tests/worker/service/test_commands.py",
        "test_with_the_real_client_id_the_live_session_makes_room_and_comes_back",
        "operator_test",
    ),
    (
        "tests/worker/service/test_ending.py",
        "test_a_second_worker_stands_by_and_takes_over",
        "worker_shutdown",
    ),
    (
        "tests/worker/service/test_timeline.py",
        "test_the_sessions_of_a_killed_worker_are_in_the_timeline_before_the_next_ones",
        "worker_died",
    ),
    (
        "tests/worker/service/test_truth.py",
        "test_traffic_that_does_not_flow_is_seen_and_ended",
        "self_ping_missed self_ping_failed",
    ),
    (
        "tests/worker/service/test_rivals.py",
        "test_a_whole_second_instance_is_noticed_and_a_bad_path_is_not_taken_for_one",
        "duplicate_client_id",
    ),
    (
        "tests/worker/service/test_refusals.py",
        "test_a_broker_that_does_not_take_our_status_degrades_its_connections",
        "status_refused self_ping_refused",
    ),
    (
        "tests/worker/service/test_refusals.py",
        "test_a_status_that_is_not_taken_is_published_again_until_it_is",
        "status_accepted",
    ),
    (
        "tests/worker/core/test_takeover.py",
        "test_it_does_what_ours_does_and_says_what_it_is_for",
        "client_id_trial_over",
    ),
    (
        "tests/worker/core/test_takeover.py",
        "test_a_session_that_the_broker_keeps_is_left_as_it_is",
        "client_id_trial",
    ),
    (
        "tests/worker/service/test_shared_logins.py",
        "test_two_connections_with_one_login_name_each_other_and_the_older_one_stays",
        "shared_login_takeover",
    ),
    (
        "tests/worker/core/test_life_up.py",
        "test_degraded_to_connected_when_the_self_ping_returns",
        "self_ping_returned",
    ),
    (
        "tests/worker/core/test_life_trying.py",
        "test_connecting_to_backoff_when_it_is_stuck",
        "no_progress",
    ),
    (
        "tests/worker/service/test_intake.py",
        "test_messages_wait_while_they_cannot_be_stored_and_everybody_is_told",
        "messages_not_stored messages_stored_again",
    ),
    (
        "tests/worker/service/test_traffic.py",
        "test_an_expected_message_that_does_not_come_degrades_until_it_comes",
        "subscription_quiet subscription_heard",
    ),
    (
        "tests/worker/core/test_versions.py",
        "test_a_login_that_3_1_1_cannot_carry_is_tried_with_mqtt_5_alone",
        "password_needs_user_name",
    ),
    (
        "tests/worker/contract/test_outbox.py",
        "test_what_waits_is_bounded_in_messages_and_the_caller_is_told",
        "outbound_queue_full",
    ),
    (
        "tests/worker/contract/test_acknowledgements.py",
        "test_properties_are_refused_to_a_session_of_3_1_1",
        "properties_not_supported",
    ),
    (
        "tests/web/test_silence.py",
        "test_the_reason_names_what_the_worker_lacks",
        "no_worker worker_silent worker_stopped worker_standby not_picked_up",
    ),
    (
        "tests/web/test_headline.py",
        "test_a_locked_database_is_no_silent_worker",
        "worker_waits",
    ),
)
ELSEWHERE = {code: (file, test) for file, test, codes in _TESTS for code in codes.split()}


@pytest.fixture
def props(scripted_broker: ScriptedBroker, open_try: OpenTry, certificates: Certificates) -> Props:
    """What the scenes are played with."""
    return Props(scripted_broker, open_try, certificates)


@pytest.mark.parametrize("code", SCENES)
def test_every_reason_of_a_session_is_reported_as_it_comes_about(props: Props, code: str) -> None:
    why = SCENES[code](props)
    assert why.code == code
    assert why.origin is REASONS[code].origin
    assert "unknown" not in str(completed(why, dict.fromkeys(KNOWN, "x")))


def test_no_reason_is_left_without_a_test_that_produces_it() -> None:
    assert set(SCENES) | set(ELSEWHERE) == set(REASONS)
    assert not set(SCENES) & set(ELSEWHERE)


@pytest.mark.parametrize("code", ELSEWHERE)
def test_every_test_that_is_named_here_exists_and_names_the_code(code: str) -> None:
    file, test = ELSEWHERE[code]
    assert test in _functions(file)
    assert f'"{code}"' in (ROOT / file).read_text(encoding="utf-8")


@cache
def _functions(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
