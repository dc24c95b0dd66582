"""`/admin/`: how everything stands, worst first, refreshed without a reload."""

from __future__ import annotations

from typing import Any

from flask import abort, request
from flask_admin import AdminIndexView, expose

from webapp import first_run
from webapp.connections import records
from webapp.picture import board, live
from webapp.wording import texts

#: Ids that one poll may ask about: a page of the list.
MAX_IDS = 200


class DashboardView(AdminIndexView):  # type: ignore[misc]
    """The dashboard, the same for a wall, and the endpoint that keeps the pages fresh."""

    @expose("/")
    def index(self) -> Any:
        found = live.picture()
        if request.args.get("kiosk"):
            return self.render("kiosk.html", parts=board.wall_parts(found), mark=live.title(found))
        return self.render(
            "dashboard.html",
            picture=found,
            parts=board.parts(found),
            mark=live.title(found),
            first_steps=first_run.wanted(found.items),
        )

    @expose("/live")
    def live(self) -> Any:
        """Return the changing parts of the page that `show` names: JSON."""
        asked = request.args.get("ids", "").split(",")[:MAX_IDS]
        ids = [number for number in map(records.identifier, asked) if number]
        show = request.args.get("show")
        if show == "rows":
            found = live.picture(ids)
            return live.answer(found, live.row_parts(found, ids))
        if show == "details" and ids:
            found = live.picture(ids[:1])
            if not found.items:
                abort(404, str(texts.RECORD_GONE))
            return live.answer(found, live.detail_parts(found))
        found = live.picture()
        return live.answer(found, (board.wall_parts if show == "wall" else board.parts)(found))
