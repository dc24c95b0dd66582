"""What an exception becomes: a reason, and a trace in the log where nobody expected it."""

from __future__ import annotations

import ssl

import pytest

from mqttworker.adapters.failures import Phase, data_cause, error_cause
from mqttworker.core import packets


def test_what_nobody_expected_is_logged_with_its_trace(caplog: pytest.LogCaptureFixture) -> None:
    for number, error in enumerate((TypeError("cadata"), KeyError("x")), start=1):
        try:
            raise error
        except Exception as caught:  # noqa: BLE001 - as a try catches it
            why = error_cause(caught, Phase.TLS) if number == 1 else data_cause(caught, limit=1)
        assert why.code == "internal_error"
        assert len(caplog.records) == number
        told = caplog.records[-1].exc_info
        assert told is not None
        assert told[1] is error
        assert told[2] is not None


def test_what_is_known_needs_no_trace(caplog: pytest.LogCaptureFixture) -> None:
    error_cause(ssl.SSLError(1, "x"), Phase.TLS)
    error_cause(ConnectionResetError(104, "x"), Phase.TCP)
    data_cause(packets.ViolationError("x"), limit=1)
    assert not caplog.records
