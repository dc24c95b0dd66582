"""The verdict on the newest picture, found once for all who ask."""

from __future__ import annotations

from flask import current_app

from webapp import certificates, verdict
from webapp.overview import Picture
from webapp.verdict import Verdict


def of(picture: Picture) -> Verdict:
    """Return the verdict on `picture` and on the certificates of its connections."""
    known: tuple[Picture, Verdict] | None = current_app.extensions.get("hawser-verdict")
    if known is not None and known[0] is picture:
        return known[1]
    found = verdict.judge(picture, certificates.watch().expiring(picture))
    current_app.extensions["hawser-verdict"] = (picture, found)
    return found
