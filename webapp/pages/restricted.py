"""Pages that not everybody who signs in may see: others are told so, with 403."""

from __future__ import annotations

from typing import Any

from flask import abort
from flask_admin import BaseView

from webapp.people import accounts


class RestrictedView(BaseView):  # type: ignore[misc]
    """A page for those of whom `is_accessible` is true."""

    def inaccessible_callback(self, name: str, **kwargs: Any) -> Any:
        abort(403)


class AdministratorsView(RestrictedView):
    """A page for administrators."""

    def is_accessible(self) -> bool:
        return accounts.may_administer()
