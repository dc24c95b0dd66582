"""`/admin/help/`: what the states, badges and keys mean, and how this browser shows the pages."""

from __future__ import annotations

from typing import Any

from flask import abort, redirect, request
from flask_admin import BaseView, expose
from flask_babel import gettext as _

from database.words import ConnectionState
from database.words import ConnectionState as S
from webapp.front import back
from webapp.wording import clock, looks, texts

#: What a visitor may choose for one browser, by cookie; `auto` follows the system.
CHOICES = {
    "theme": ("light", "dark", "auto"),
    "first_run": ("done",),
    "clock": (clock.LOCAL, clock.IN_UTC),
}


class HelpView(BaseView):  # type: ignore[misc]
    """The page, and the place where its choices are sent."""

    def __init__(self) -> None:
        super().__init__("Help", endpoint="help", url="/admin/help")

    @expose("/")
    def index_view(self) -> Any:
        return self.render("help.html", states=_meanings())

    @expose("/look", methods=("POST",))
    def look_view(self) -> Any:
        """Keep a choice in a cookie and return to the page it was made on."""
        chosen = {name: request.form.get(name) for name in CHOICES if name in request.form}
        if not chosen or any(value not in CHOICES[name] for name, value in chosen.items()):
            abort(400)
        answer = redirect(back.asked_for(back.HERE) or self.get_url("admin.index"))
        for name, value in chosen.items():
            looks.keep(answer, name, str(value))
        return answer


def _meanings() -> dict[str, str]:
    """Return what each state means, worst first."""
    found = {
        S.CONFIG_ERROR: _("The record cannot be used as it is. It waits for an edit."),
        S.REFUSED: _(
            "The broker said no, to the login or to the client id. Hawser tries again "
            "now and then; somebody should look."
        ),
        S.COOLDOWN: _(
            "Sessions ended quickly again and again, mostly because another client uses "
            "this client id. A longer wait protects the broker."
        ),
        S.BACKOFF: _("The last try failed. The page says when the next one is due."),
        S.DEGRADED: _(
            "There is a session, but something is amiss: a Topic Filter was refused, an "
            "expected message does not come, or messages do not flow."
        ),
        S.UNKNOWN: _("The worker does not report, so nobody knows. Its connections may be fine."),
        S.CONNECTING: _("DNS, TCP, TLS, CONNACK or SUBACK is under way."),
        S.PENDING: _("Wanted, and not yet picked up by the worker; it takes a second or two."),
        S.STOPPING: _("The status topic is set to offline, and DISCONNECT is on its way."),
        S.CONNECTED: _(
            "The broker accepted the session, granted every Topic Filter and was heard "
            "from within its Keep Alive."
        ),
        S.DISABLED: _("Not wanted: the worker leaves it alone."),
    }
    return {str(state): found[ConnectionState(state)] for state in texts.WORST_FIRST}
