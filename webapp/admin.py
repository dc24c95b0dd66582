"""The Flask-Admin site: which pages there are and where."""

from __future__ import annotations

from typing import Any

from flask import Flask, redirect, url_for
from flask_admin import Admin
from flask_admin.theme import Bootstrap4Theme

from webapp.pages.account import AccountView
from webapp.pages.audit import AuditView
from webapp.pages.certificates import CertificateView
from webapp.pages.commands import CommandView
from webapp.pages.connections import ConnectionView
from webapp.pages.dashboard import DashboardView
from webapp.pages.events import EventView
from webapp.pages.facts import WorkerView
from webapp.pages.help import HelpView
from webapp.pages.kept import KeptView
from webapp.pages.messages import MessageView
from webapp.pages.people import PeopleView
from webapp.pages.publishing import PublishView
from webapp.wording import texts


def configure(app: Flask) -> None:
    """Register the pages; `/` leads to the dashboard."""
    site = Admin(
        name=texts.PRODUCT,
        theme=Bootstrap4Theme(fluid=True),
        index_view=DashboardView(name="Dashboard", endpoint="admin", url="/admin"),
    )
    site.add_view(ConnectionView())
    site.add_view(CommandView())
    site.add_view(EventView())
    site.add_view(MessageView())
    site.add_view(KeptView())
    site.add_view(PublishView())
    site.add_view(CertificateView())
    site.add_view(AuditView())
    site.add_view(PeopleView())
    site.add_view(AccountView())
    site.add_view(WorkerView())
    site.add_view(HelpView())
    site.init_app(app)
    app.add_url_rule("/", "home", _home)


def _home() -> Any:
    return redirect(url_for("admin.index"))
