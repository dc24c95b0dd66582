"""Somebody at a browser of the running product: keeps cookies, sends forms and files."""

from __future__ import annotations

import http.cookiejar
import re
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Mapping

_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


class Browser:
    """One visitor of `http://127.0.0.1:port`."""

    def __init__(self, port: int) -> None:
        self._base = f"http://127.0.0.1:{port}"
        jar = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))

    def sign_in(self, email: str, password: str) -> None:
        """Open a session. Raises AssertionError if it is refused."""
        _, page = self.post("/login", {"email": email, "password": password}, token_from="/login")
        assert 'name="password"' not in page, page

    def get(self, path: str) -> tuple[int, str]:
        """Return status and body, whatever the status."""
        return self._fetch(urllib.request.Request(self._base + path))

    def post(
        self, path: str, fields: Mapping[str, str], *, token_from: str = "/admin/"
    ) -> tuple[int, str]:
        """Send a form with the token of a page."""
        data = {"csrf_token": self.token(token_from), **fields}
        body = urllib.parse.urlencode(data).encode()
        return self._fetch(urllib.request.Request(self._base + path, body, self._origin))

    def upload(self, path: str, name: str, content: str) -> tuple[int, str]:
        """Send a file in the field `file`."""
        edge = uuid.uuid4().hex
        parts = {
            'name="csrf_token"': self.token("/admin/"),
            f'name="file"; filename="{name}"': content,
        }
        body = "".join(
            f"--{edge}\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n"
            for head, value in parts.items()
        )
        headers = {"Content-Type": f"multipart/form-data; boundary={edge}", **self._origin}
        data = f"{body}--{edge}--\r\n".encode()
        return self._fetch(urllib.request.Request(self._base + path, data, headers))

    def token(self, path: str) -> str:
        """Return the token on a page."""
        status, page = self.get(path)
        found = _TOKEN.search(page)
        assert found is not None, (path, status, page)
        return found[1]

    @property
    def _origin(self) -> dict[str, str]:
        return {"Origin": self._base, "Referer": f"{self._base}/"}

    def _fetch(self, request: urllib.request.Request) -> tuple[int, str]:
        try:
            with self._opener.open(request, timeout=20) as answer:
                return answer.status, answer.read().decode("utf-8", "replace")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode("utf-8", "replace")
