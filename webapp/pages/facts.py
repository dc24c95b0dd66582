"""Read-only pages of what the worker wrote: heartbeats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_admin.model import BaseModelView
from sqlalchemy import Select
from wtforms import Form

from database.models import WorkerHeartbeat
from webapp import store
from webapp.connections import records
from webapp.people import accounts
from webapp.picture import workers
from webapp.wording.lazy import lazy_gettext as _


class ReadOnlyView(BaseModelView):  # type: ignore[misc]
    """A list of Core rows, newest first: no ORM objects, no editing, no counting."""

    can_create = can_edit = can_delete = False
    column_display_actions = False
    page_size = 50
    list_template = "facts.html"
    #: What an empty list says.
    empty = ""
    #: The template macro that shows a row.
    kind = ""

    def statement(self) -> Select[Any]:
        """Return the rows, newest first."""
        raise NotImplementedError

    def get_list(
        self, page: int, *_args: Any, page_size: int | None = None, **_kwargs: Any
    ) -> tuple[None, list[Any]]:
        size = page_size or self.page_size
        start = min(max(page, 0), records.MAX_ID // size - 1) * size
        with store.reading() as transaction:
            rows = transaction.execute(self.statement().limit(size).offset(start)).all()
        return None, [row._mapping for row in rows]

    def get_pk_value(self, model: Mapping[str, Any]) -> Any:
        return model.get("id")

    def scaffold_list_columns(self) -> list[str]:
        return []

    def scaffold_sortable_columns(self) -> dict[Any, Any]:
        return {}

    def init_search(self) -> bool:
        return False

    def scaffold_form(self) -> type[Form]:
        return Form

    def scaffold_list_form(self, *_args: Any, **_kwargs: Any) -> type[Form]:
        return Form

    def get_one(self, id: Any) -> None:  # noqa: A002 - the library's name
        return None


class WorkerView(ReadOnlyView):
    """`/admin/workers/`: every worker process that has reported."""

    kind = "worker"
    empty = _(
        "No worker has ever reported. Start it: python3 manage.py supervisorctl start mqttworker"
    )

    def __init__(self) -> None:
        super().__init__(WorkerHeartbeat, _("Workers"), endpoint="workers", url="/admin/workers")

    def get_list(self, page: int, *_args: Any, **_kwargs: Any) -> tuple[None, list[Any]]:
        with store.reading() as transaction:
            _, found = workers.read(transaction, accounts.settings_of_app())
        newest_first = sorted(found, key=lambda worker: worker.age_s)
        return None, newest_first[: self.page_size] if page <= 0 else []

    def get_pk_value(self, model: Any) -> Any:
        return model.boot_id
