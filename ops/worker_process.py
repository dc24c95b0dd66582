"""The worker processes of a data directory, found without supervisord: it may be gone."""

from __future__ import annotations

from pathlib import Path

PROC = Path("/proc")
_COMMAND = ["-m", "mqttworker"]


def find(home: Path) -> list[int]:
    """Return the process ids of the workers that run from `home`, as far as this user may see."""
    return sorted(
        int(process.name)
        for process in PROC.glob("[0-9]*")
        if _is_worker(process) and _is_from(process, home)
    )


def orphans(home: Path) -> list[int]:
    """Return those of them that no supervisord looks after."""
    return [pid for pid in find(home) if not _has_supervisor(pid)]


def sentence(pids: list[int]) -> str:
    """Return a sentence that names these workers, and the command that ends them."""
    numbers = " ".join(map(str, pids))
    what = f"The worker of an earlier run lives on (process {numbers})"
    if len(pids) > 1:
        what = f"Workers of earlier runs live on (processes {numbers})"
    return f"{what}, without a supervisord, and keeps its connections; `kill {numbers}` ends it."


def _is_worker(process: Path) -> bool:
    words = _words(process / "cmdline")
    return any(words[at : at + 2] == _COMMAND for at in range(1, len(words)))


def _is_from(process: Path, home: Path) -> bool:
    name = "HAWSER_HOME="
    chosen = [word.removeprefix(name) for word in _words(process / "environ") if name in word[:12]]
    return any(Path(each).resolve() == home.resolve() for each in chosen if each.startswith("/"))


def _has_supervisor(pid: int) -> bool:
    try:
        # The name of a process may hold anything, a parenthesis too.
        fields = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    parent = fields.rpartition(")")[2].split()[1]
    return any("supervisord" in word for word in _words(PROC / parent / "cmdline"))


def _words(path: Path) -> list[str]:
    """Return what a file of /proc holds; nothing if the process is gone or another user's."""
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape").split("\0")
    except OSError:
        return []
