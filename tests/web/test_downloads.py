"""A few downloads of one account at once, however many others run."""

from __future__ import annotations

from flask import Flask

from tests.web.conftest import Visitor, signed_in
from webapp.front.downloads import AT_ONCE

EXPORT = "/admin/events/export?format=csv"


def test_one_account_does_not_fill_the_place_of_all_downloads(app: Flask, viewer: Visitor) -> None:
    running = [viewer.get(EXPORT, buffered=False) for _ in range(AT_ONCE)]
    assert {answer.status_code for answer in running} == {200}
    assert viewer.get(EXPORT).status_code == 429
    assert signed_in(app, "viewer").get(EXPORT).status_code == 200
    # A page is no download, and a refused one does not count.
    assert viewer.get("/admin/events/").status_code == 200
    running.pop().close()
    assert viewer.get(EXPORT).status_code == 200
    for answer in running:
        answer.close()


def test_a_download_that_failed_does_not_count(viewer: Visitor) -> None:
    statuses = {viewer.get("/admin/events/export?format=none").status_code for _ in range(9)}
    assert statuses == {400}
