"""What Hawser keeps can be read by its owner only, whatever the data directory lets others do."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from ops import private_files
from tests.end_to_end.conftest import end
from tests.end_to_end.product import Product
from tests.support import other_user
from tests.support.databases import Databases

pytestmark = pytest.mark.skipif(bool(other_user.why_not()), reason=other_user.why_not())
#: Left by an older version, or by a restore.
LEFT = ("hawser.db-wal", "worker.lock", "supervisord.pid", "mqttworker-orphan.log", "secret-key")


@pytest.fixture
def product() -> Iterator[Product]:
    """The product with a data directory that others may enter, under the usual umask."""
    before = os.umask(0o022)
    with other_user.open_directory() as directory:
        made = Product(directory, HAWSER_DATABASE_URL=f"sqlite:///{directory / 'elsewhere.db'}")
        made.home.mkdir(mode=0o755)
        yield made
        end(made)
    os.umask(before)


def test_others_read_nothing_of_a_run(product: Product) -> None:
    directory = product.home.parent
    product.start().wait_for_output("Hawser is ready", 60)
    product.wait_for_connected(1, 30)
    # Before another command takes the rights of others off what lies there.
    assert other_user.readable(directory) == {"run-1.log"}
    supervisor = int((product.home / "supervisord.pid").read_text(encoding="ascii"))
    assert {umask_of(pid) for pid in (supervisor, *children_of(supervisor))} == {"0077"}
    export = directory / "export.json"
    export.touch(mode=0o644)
    for path in (export, directory / "new.json"):
        assert product.manage("connections", "export", str(path)).returncode == 0
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    there = {str(path.relative_to(directory)) for path in directory.rglob("*")}
    names = {"elsewhere.db", "elsewhere.db-wal", "home/worker.lock", "home/supervisord.pid"}
    assert names <= there
    # The log of the run is the test's own.
    assert other_user.readable(directory) == {"run-1.log"}
    modes = {path.name: path.stat().st_mode & 0o077 for path in product.home.iterdir()}
    assert set(modes.values()) == {0}, modes
    assert stat.S_IMODE(product.home.stat().st_mode) == 0o755


def umask_of(pid: int) -> str:
    """Return the mask of a process, octal."""
    (line,) = (
        line
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
        if line.startswith("Umask:")
    )
    return line.split()[1]


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(word) for word in path.read_text(encoding="ascii").split()]


def test_files_that_others_could_read_are_made_private_by_any_command(
    product: Product, sqlite_databases: Databases
) -> None:
    with sqlite_databases.migrated() as url:
        shutil.copyfile(make_url(url).database or "", product.home / "hawser.db")
    for name in LEFT:
        (product.home / name).write_text("", encoding="utf-8")
    foreign = product.home / "of-somebody-else.txt"
    foreign.write_text("", encoding="utf-8")
    assert len(other_user.readable(product.home)) == len(LEFT) + 2
    product.manage("supervisorctl", "status")
    assert other_user.readable(product.home) == {foreign.name}


def test_a_link_is_not_followed_to_what_is_not_ours(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.touch(mode=0o644)
    foreign.chmod(0o644)
    home = tmp_path / "home"
    home.mkdir()
    (home / "hawser.db").symlink_to(foreign)
    private_files.make_private(home)
    assert stat.S_IMODE(foreign.stat().st_mode) == 0o644
