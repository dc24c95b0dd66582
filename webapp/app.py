"""The factory of the web application."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flask import Flask
from flask_wtf.csrf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from database import logs
from database.settings import load
from webapp import admin, store
from webapp.front import (
    body_limits,
    client_address,
    cookies,
    downloads,
    errors,
    guard,
    headers,
    json_bodies,
    unused,
)
from webapp.front.path_prefix import PathPrefix
from webapp.people import door
from webapp.picture import health
from webapp.settings import WebSettings
from webapp.wording import filters, language

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

ROOT = Path(__file__).parent.parent


def create_app(settings: WebSettings | None = None) -> Flask:
    """Return the application. It starts without a database and says so until there is one."""
    if settings is None:
        settings = load(WebSettings)
        logs.configure(settings.log_level, settings.log_format)
    app = Flask(
        "webapp", template_folder=str(ROOT / "templates"), static_folder=str(ROOT / "static")
    )
    app.extensions["hawser-settings"] = settings
    app.config.update(
        SECRET_KEY=settings.secret_key.get_secret_value(),
        # A token lives as long as its session: a form left open overnight still saves.
        WTF_CSRF_TIME_LIMIT=None,
    )
    cookies.configure(app, is_secure=settings.secure_cookies)
    store.configure(app, settings)
    health.configure(app)
    language.configure(app)
    # The door before anything reads a body: the token of a form is a part of it.
    guard.configure(app)
    body_limits.configure(app)
    json_bodies.configure(app)
    CSRFProtect(app)
    door.configure(app, settings)
    downloads.configure(app)
    headers.configure(app)
    errors.configure(app)
    filters.configure(app)
    admin.configure(app)
    unused.configure(app)
    client_address.configure(app)
    _stand_behind_proxies(app, settings)
    return app


def _stand_behind_proxies(app: Flask, settings: WebSettings) -> None:
    count = settings.trusted_proxies
    wsgi_app: WSGIApplication = PathPrefix(app.wsgi_app, settings.script_name, count)
    if count:
        wsgi_app = ProxyFix(wsgi_app, x_for=count, x_proto=count, x_host=count)
    app.wsgi_app = wsgi_app  # type: ignore[method-assign, assignment]
