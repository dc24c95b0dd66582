"""The web of the product as its own process, and somebody who is signed in."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.contestants import ROOT
from bench.ports import HOST, accepts, free_port
from bench.processes import Child
from bench.visitor import Visitor

ACCOUNT = "bench@hawser.example"
START_TIMEOUT = 60.0  # seconds


@contextmanager
def site(directory: Path, environment: Mapping[str, str]) -> Iterator[Visitor]:
    """Start gunicorn with a first account, and sign in."""
    port, password = free_port(), secrets.token_urlsafe(16)
    own = {
        **environment,
        "HAWSER_BIND": f"{HOST}:{port}",
        "HAWSER_SECRET_KEY": secrets.token_urlsafe(40),
        "HAWSER_ADMIN_EMAIL": ACCOUNT,
        "HAWSER_ADMIN_PASSWORD": password,
    }
    setup = [sys.executable, "-m", "webapp", "setup"]
    subprocess.run(setup, cwd=ROOT, env=own, check=True, stdout=subprocess.DEVNULL)
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"]
    with Child(command, directory / "web.log", env=own, cwd=ROOT) as child:
        child.wait_for(lambda: accepts(port), START_TIMEOUT, "the web")
        visitor = Visitor(port, child.pid)
        visitor.sign_in(ACCOUNT, password)
        yield visitor
