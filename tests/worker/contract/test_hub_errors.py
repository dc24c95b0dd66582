"""A greenlet that dies of an error is a line of the log, without its arguments."""

from __future__ import annotations

import gevent
import pytest

from mqttworker.adapters import hub_errors


def fail(secret: str) -> None:
    raise ValueError(len(secret))


def test_an_error_of_a_greenlet_is_logged_and_its_arguments_are_not(
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    hub = gevent.get_hub()
    request.addfinalizer(lambda: vars(hub).pop("print_exception"))
    hub_errors.log_them()
    greenlet = gevent.spawn(fail, "canary-password")
    greenlet.name = "connection[plant-7]"
    gevent.wait([greenlet])
    (record,) = caplog.records
    assert record.getMessage() == "greenlet connection[plant-7] ended by an error"
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ValueError)
    assert capfd.readouterr() == ("", "")
    assert "canary" not in caplog.text
