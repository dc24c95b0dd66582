"""Doors that the libraries bring along and nobody here uses: closed with 404.

Flask-Admin ships old versions of jQuery, Bootstrap and others, which no page loads.
"""

from __future__ import annotations

from typing import Any

from flask import Flask, abort

#: Endpoints that answer nothing, whoever asks.
CLOSED = (
    "admin.static",
    "security.static",
    # Own pages set the second factor up (webapp/pages/account.py).
    "security.mf_recovery_codes",
    "security.tf_select",
    "security.two_factor_rescue",
    "security.two_factor_setup",
    "security.two_factor_setup_validate",
    "connections.ajax_lookup",
    "connections.ajax_update",
    "connections.export",
    "workers.ajax_lookup",
    "workers.ajax_update",
    "workers.action_view",
    "workers.create_view",
    "workers.delete_view",
    "workers.details_view",
    "workers.edit_view",
    "workers.export",
)


def configure(app: Flask) -> None:
    """Close them; to be called once all are registered."""
    for endpoint in CLOSED:
        if endpoint in app.view_functions:
            app.view_functions[endpoint] = _closed


def _closed(**_arguments: Any) -> Any:
    abort(404)
