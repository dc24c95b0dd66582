"""Security headers on every answer, errors and files included."""

from __future__ import annotations

from flask import Flask, Response, request

from webapp.front import back

#: Nothing but what is listed, and that from here: no inline script or style, no frame.
_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    # The code that an authenticator app scans is a picture in the page itself.
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "manifest-src": "'self'",
    "form-action": "'self'",
    "object-src": "'none'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
CONTENT_SECURITY_POLICY = "; ".join(f"{name} {source}" for name, source in _POLICY.items())
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
#: One year, only sent over HTTPS, where browsers heed it.
STRICT_TRANSPORT_SECURITY = "max-age=31536000; includeSubDomains"


def configure(app: Flask) -> None:
    """Add the headers after every request."""
    app.after_request(_add)


def _add(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers[name] = value
    if request.is_secure:
        response.headers["Strict-Transport-Security"] = STRICT_TRANSPORT_SECURITY
    if request.endpoint is None or not request.endpoint.endswith("static"):
        # Pages hold hosts and names: not for a shared cache, nor for the back button
        # of the next person at this browser.
        response.headers["Cache-Control"] = "no-store"
    _stay_here(response)
    return response


def _stay_here(response: Response) -> None:
    """Lead to a path, never to a host: the one in the request is whatever the client wrote."""
    target = response.headers.get("Location")
    if target is not None and target != (path := back.path_of(target)):
        response.headers["Location"] = path
        response.set_data(b"")
