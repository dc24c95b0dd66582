"""Where things are, and the environment that every child process gets."""

from __future__ import annotations

import hashlib
import os
import resource
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ops import private_files
from ops.errors import CommandError, SettingError

ROOT = Path(__file__).resolve().parent.parent
SUPERVISOR_CONFIG = ROOT / "supervisord.conf"
#: Open files that supervisord asks for on behalf of the worker: one for a connection, and slack.
WANTED_FILES = 32768
#: Longest socket path that supervisord can bind, in bytes: the kernel takes 107, and
#: supervisord first binds the same name with a dot and its process id behind it.
MAX_SOCKET_PATH = 96


def home_directory(argument: str | None) -> Path:
    """Return the data directory: `--home`, else HAWSER_HOME, else `var` in the checkout.

    It exists afterwards; one that is made only its owner may enter. What Hawser keeps in it
    only its owner may read, whatever the rights of a directory that was there. Raises CommandError.
    """
    chosen = argument or os.environ.get("HAWSER_HOME") or str(ROOT / "var")
    if not chosen.strip() or not chosen.isprintable():
        msg = "HAWSER_HOME (or --home) must be the path of a directory, without control characters."
        raise SettingError(msg)
    try:
        home = Path(chosen).expanduser().absolute()
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or "unknown user behind ~"
        msg = f"HAWSER_HOME (or --home): the directory {chosen} cannot be made: {reason}."
        raise SettingError(msg) from None
    if not os.access(home, os.R_OK | os.W_OK | os.X_OK):
        msg = f"HAWSER_HOME (or --home): this user may not use {home}; --home DIR names another."
        raise SettingError(msg)
    private_files.make_private(home)
    return home


def environment(home: Path) -> dict[str, str]:
    """Return the environment of the product's processes for this data directory."""
    values = dict(os.environ)
    values["HAWSER_HOME"] = str(home)
    values.setdefault("HAWSER_ENV", "demo")
    # Python's own switches would point the virtual environment at foreign packages.
    for name in ("PYTHONHOME", "PYTHONPATH", "__PYVENV_LAUNCHER__"):
        values.pop(name, None)
    return values


def supervisor_environment(home: Path, python: Path) -> dict[str, str]:
    """Return `environment` with what supervisord.conf refers to."""
    values = environment(home)
    values["HAWSER_PYTHON"] = str(python)
    values["HAWSER_SUPERVISOR_SOCKET"] = str(supervisor_socket(home))
    values["HAWSER_MINFDS"] = str(open_files())
    values.setdefault("HAWSER_RUN_DEMO_BROKER", "false")
    values.setdefault("HAWSER_RUN_SETUP", "false")
    check_for_supervisord(values)
    return values


def check_for_supervisord(values: Mapping[str, str]) -> None:
    """Refuse what supervisord would tell without the variable's name. Raises SettingError."""
    for name in ("HAWSER_RUN_SETUP", "HAWSER_RUN_DEMO_BROKER"):
        if values.get(name, "false") not in ("true", "false"):
            msg = f"{name} must be true or false."
            raise SettingError(msg)
    python = values.get("HAWSER_PYTHON")
    if python is not None and not (os.path.isfile(python) and os.access(python, os.X_OK)):  # noqa: PTH113 - never raises
        msg = "HAWSER_PYTHON must be the path of the Python that has the packages."
        raise SettingError(msg)
    socket = values.get("HAWSER_SUPERVISOR_SOCKET")
    if socket is not None and not _may_be_socket(socket):
        msg = (
            "HAWSER_SUPERVISOR_SOCKET must be the whole path of a socket, in a directory that "
            f"this user may write, in at most {MAX_SOCKET_PATH} bytes."
        )
        raise SettingError(msg)


def _may_be_socket(path: str) -> bool:
    is_short = path.startswith("/") and len(os.fsencode(path)) <= MAX_SOCKET_PATH
    return is_short and path.isprintable() and os.access(os.path.dirname(path), os.W_OK)  # noqa: PTH120 - text


def check_gunicorn(values: Mapping[str, str]) -> None:
    """Refuse gunicorn's own variable: it would go before gunicorn.conf.py. Raises SettingError."""
    if values.get("GUNICORN_CMD_ARGS", "").strip():
        msg = (
            "GUNICORN_CMD_ARGS changes what Hawser decides for gunicorn, such as where the web "
            "listens; remove it (HAWSER_BIND says where to listen)."
        )
        raise SettingError(msg)


def open_files() -> int:
    """Return how many open files supervisord may ask for; asking for more would stop it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return WANTED_FILES if hard == resource.RLIM_INFINITY else min(WANTED_FILES, hard)


def forbid_core_dumps() -> None:
    """Let neither this process nor its children leave their memory, secrets included, on disk."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def supervisor_socket(home: Path) -> Path:
    """Return the path of supervisord's socket: in `home`, or where its path is short enough."""
    path = home / "supervisor.sock"
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH:
        return path
    name = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    return _own_directory(f"hawser-{os.getuid()}-{name}") / "supervisor.sock"


def _own_directory(name: str) -> Path:
    """Return a directory for temporary files that nobody else may enter. Raises CommandError."""
    directory = Path(tempfile.gettempdir()) / name
    directory.mkdir(mode=0o700, exist_ok=True)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        msg = f"{directory} belongs to somebody else; choose a data directory with a shorter path."
        raise CommandError(msg)
    return directory
