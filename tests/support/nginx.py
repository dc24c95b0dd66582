"""Debian's nginx with TLS, private to a test, with the `server` block of the manual."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from ops.system_packages import SEARCH_PATH
from tests.support.certificates import Pair
from tests.support.process import HOST, Child, accepts, free_port

MANUAL = Path(__file__).parents[2] / "docs" / "operations.md"
#: Everything nginx writes stays in a directory of the test; nobody but its own user may enter.
_MAIN = """
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr warn;
{user}
events {{ worker_connections 256; }}
http {{
  access_log off;
  types {{ }}
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
{server}
}}
"""


def executable() -> str | None:
    """Return the path of nginx, None where it is not installed."""
    return shutil.which("nginx", path=SEARCH_PATH)


def examples(language: str = "nginx") -> list[str]:
    """Return the examples of the manual in a language: at the root, and below a path."""
    text = MANUAL.read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def below_a_path() -> str:
    """Return the manual's server block with the `location` below a path in place of the other."""
    whole, below = examples()
    return re.sub(r"    location / \{.*?\n    \}\n", lambda _: below, whole, flags=re.DOTALL)


class Nginx(Child):
    """A running nginx whose `server` passes everything on to `upstream`, host and port."""

    def __init__(self, directory: Path, server: str, upstream: str, pair: Pair) -> None:
        self.port = free_port()
        server = server.replace("127.0.0.1:8000", upstream)
        server = server.replace("listen 443 ssl", f"listen {HOST}:{self.port} ssl")
        server = server.replace("/etc/ssl/hawser.pem", str(pair.certificate))
        server = server.replace("/etc/ssl/hawser.key", str(pair.key))
        user = "user root;" if os.geteuid() == 0 else ""
        path = directory / "nginx.conf"
        text = _MAIN.format(directory=directory, user=user, server=server)
        path.write_text(text, encoding="utf-8")
        command: list[str | Path] = [executable() or "nginx", "-p", directory, "-c", path]
        super().__init__(command, directory / "nginx.log")
        self.wait_for(lambda: accepts(self.port), 20, "nginx to listen")

    @property
    def url(self) -> str:
        """The address that browsers ask."""
        return f"https://{HOST}:{self.port}"
