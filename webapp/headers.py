"""Security headers on every answer, errors and files included."""

from __future__ import annotations

from flask import Flask, Response, request

#: Everything comes from here; no inline script or style, no frame, no plug-in.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
#: One year, only sent over HTTPS, where browsers heed it.
STRICT_TRANSPORT_SECURITY = "max-age=31536000"


def configure(app: Flask) -> None:
    """Add the headers after every request."""
    app.after_request(_add)


def _add(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.is_secure:
        response.headers.setdefault("Strict-Transport-Security", STRICT_TRANSPORT_SECURITY)
    if request.endpoint is None or not request.endpoint.endswith("static"):
        # Pages hold hosts and names: not for a shared cache, nor for the back button
        # of the next person at this browser.
        response.headers.setdefault("Cache-Control", "no-store")
    return response
