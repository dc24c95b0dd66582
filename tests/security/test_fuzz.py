"""10,000 requests of an administrator, made from a seed: no 500, and nothing to trace back."""

from __future__ import annotations

import logging

import pytest
import structlog
from werkzeug.test import TestResponse

from tests.security.conftest import MakeSite
from tests.security.fuzzing import Fuzzer, Request, names_of_forms
from tests.security.site import Caller, Site

SEEDS = range(1, 11)
REQUESTS = 1_000
#: Health answers 503 where a connection fails: that is its job.
MAY_BE_503 = ("/api/v1/mqtt/health", "/readyz")


class Session:
    """An administrator who signs in again whenever a request has ended the session."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.signed_in = 0
        self._begin()

    def _begin(self) -> None:
        self.caller: Caller = self._site.client("admin")
        self.token = self.caller.token
        self.signed_in += 1

    def send(self, request: Request) -> TestResponse:
        answer: TestResponse = request.send(self.caller)
        is_out = answer.status_code == 401 or (answer.location or "").startswith(
            ("/login", "/change")
        )
        if is_out or (answer.status_code == 400 and "nothing was changed" in answer.text):
            self._begin()
        return answer


@pytest.fixture(scope="module")
def names(site: Site) -> set[str]:
    """The fields of all forms: every site has the same."""
    return names_of_forms(site)


def is_broken(request: Request, answer: TestResponse) -> bool:
    if answer.status_code == 503 and request.path.startswith(MAY_BE_503):
        return False
    return answer.status_code >= 500


@pytest.mark.parametrize("seed", SEEDS)
def test_no_request_makes_a_500_or_a_traceback(
    make_site: MakeSite, names: set[str], seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    site = make_site()
    fuzzer, session = Fuzzer(site, seed, names), Session(site)
    counts: dict[int, int] = {}
    caplog.set_level(logging.ERROR)
    with structlog.testing.capture_logs() as events:
        for number in range(REQUESTS):
            request = fuzzer.request(session.token)
            answer = session.send(request)
            assert not is_broken(request, answer), f"seed {seed}, request {number}: {request}"
            assert "Content-Security-Policy" in answer.headers
            counts[answer.status_code] = counts.get(answer.status_code, 0) + 1
    failures = [event for event in events if event["log_level"] in ("error", "critical")]
    assert [event for event in failures if event["event"] != "health cannot read"] == []
    assert [record.message for record in caplog.records] == []
    # Most got past the door, and many were done.
    assert counts[200] + counts.get(302, 0) > REQUESTS / 2, counts
