"""The rows of the list: kept while they look the same, but for the token of each form."""

from __future__ import annotations

import secrets
from functools import partial
from typing import Any

from flask import current_app
from flask_wtf.csrf import generate_csrf
from markupsafe import Markup

from webapp.messages.charts import Sparkline
from webapp.past.history import Ribbon
from webapp.picture import remembered
from webapp.picture.overview import Item
from webapp.wording import clock

#: Characters of an address with which rows are kept.
LONGEST = 500
#: Stands where the token of the session belongs; no record can hold it.
_TOKEN = secrets.token_hex(16)


def row(item: Item, day: Ribbon, line: Sparkline | None, editor: bool, return_url: str) -> Markup:
    """Return the HTML of one row; `return_url` is the page that its forms lead back to."""
    made = remembered.of_app("hawser-list-rows")
    key = (item.id, clock.look(), editor, return_url)
    given = (item, day, line)
    make = partial(_made, *given, editor, return_url)
    # An address may hold anything, and stands in each row several times: not to be kept then.
    html: str = made.of(key, given, make) if len(return_url) <= LONGEST else make()
    return Markup(html.replace(_TOKEN, generate_csrf()))  # noqa: S704 - escaped inside


def _made(*values: Any) -> str:
    module: Any = current_app.jinja_env.get_template("connections/row.html").module
    return str(module.row(*values, _TOKEN))
