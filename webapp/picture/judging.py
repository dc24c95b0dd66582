"""The verdict on the newest picture, found once for all who ask in one language."""

from __future__ import annotations

from flask import current_app
from flask_babel import get_locale

from webapp import certificates
from webapp.picture import verdict
from webapp.picture.overview import Picture
from webapp.picture.verdict import Verdict


def of_part(picture: Picture) -> Verdict:
    """Return the verdict on a picture that nobody else asks about, and keep nothing of it."""
    return verdict.judge(picture, certificates.watch().expiring(picture))


def of(picture: Picture) -> Verdict:
    """Return the verdict on `picture` and on the certificates of its connections."""
    known: dict[str, tuple[Picture, Verdict]]
    known = current_app.extensions.setdefault("hawser-verdicts", {})
    language = str(get_locale())
    # Taken out once: another thread may put the verdict on another picture there at any moment.
    last = known.get(language)
    if last is not None and last[0] is picture:
        return last[1]
    found = of_part(picture)
    known[language] = picture, found
    return found
