"""Debian packages that the full test suite uses: installed by root, named to others.

Debian starts the service of a package that it installs. The tests start their own
servers on private ports, so a service must neither start now nor at the next boot.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ops.errors import CommandError

#: Debian's own switch: invoke-rc.d starts no service while this program says 101.
POLICY = Path("/usr/sbin/policy-rc.d")
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


@dataclass(frozen=True)
class SystemPackage:
    """A Debian package, a program or file that proves it is there, its service if it has one."""

    name: str
    program: str
    service: str | None = None

    def is_present(self) -> bool:
        """Say whether the program or file is found, also in the directories of root."""
        if self.program.startswith("/"):
            return any(Path("/").glob(self.program[1:]))
        return shutil.which(self.program, path=SEARCH_PATH) is not None


PACKAGES = (
    SystemPackage("mosquitto", "mosquitto", service="mosquitto"),
    SystemPackage("mosquitto-clients", "mosquitto_sub"),
    SystemPackage("rabbitmq-server", "rabbitmq-server", service="rabbitmq-server"),
    SystemPackage("nats-server", "nats-server", service="nats-server"),
    SystemPackage("postgresql", "/usr/lib/postgresql/*/bin/postgres", service="postgresql"),
    SystemPackage("pgbouncer", "pgbouncer", service="pgbouncer"),
    SystemPackage("chromium", "chromium"),
    SystemPackage("nginx", "nginx", service="nginx"),
    # What drives the browser is a Node.js that needs it; a minimal Debian has none.
    SystemPackage("libatomic1", "/usr/lib/*/libatomic.so.1"),
)


def provide() -> None:
    """Install what is missing if that is possible here, otherwise name it. Raises CommandError."""
    missing = [package for package in PACKAGES if not package.is_present()]
    if not missing:
        return
    names = " ".join(package.name for package in missing)
    if os.geteuid() == 0 and shutil.which("apt-get"):
        _say(f"Installing the system packages that the tests use: {names} ...")
        _install(missing)
        return
    _say(f"Not installed: {names}. The tests that need them are skipped and counted.")
    _say(f"As root on Debian this command installs them, or: apt-get install {names}")


def _install(packages: list[SystemPackage]) -> None:
    with no_service_starts(POLICY):
        _apt("update", "-qq")
        names = [package.name for package in packages]
        _apt("install", "-qq", "-y", "--no-install-recommends", *names)
    if Path("/run/systemd/system").is_dir():
        services = [package.service for package in packages if package.service]
        subprocess.run(["systemctl", "--quiet", "disable", "--now", *services], check=False)


def _apt(*arguments: str) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    # Waits for another apt-get instead of failing, as after the boot of a new machine.
    command = ["apt-get", "-o", "DPkg::Lock::Timeout=300", *arguments]
    done = subprocess.run(
        command, env=environment, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode != 0:
        msg = f"`{' '.join(command)}` failed; its own words are above."
        raise CommandError(msg)


@contextlib.contextmanager
def no_service_starts(policy: Path) -> Iterator[None]:
    """Forbid service starts for the time of an installation, unless `policy` exists already."""
    if policy.exists():
        yield
        return
    policy.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
    try:
        policy.chmod(0o755)
        yield
    finally:
        policy.unlink(missing_ok=True)


def _say(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()
