"""The first steps of a new installation: shown until somebody has gone them or puts them away."""

from __future__ import annotations

from collections.abc import Sequence

from webapp.people import accounts
from webapp.picture.overview import Item
from webapp.wording import looks

#: What puts the steps away in one browser.
CHOICE, DONE = "first_run", "done"
#: The connection that the set-up adds for the demo broker (`webapp.setup`).
SAMPLE = "demo"


def wanted(items: Sequence[Item]) -> bool:
    """Whether the steps are to be shown: there is nothing but the sample, if that."""
    if looks.chosen(CHOICE) == DONE or not accounts.may_edit():
        return False
    return all(item.name == SAMPLE for item in items[:2])
