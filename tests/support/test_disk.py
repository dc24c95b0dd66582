"""A disk is as large as it says, and takes no writes when it is told so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import disk
from tests.support.disk import SmallDisk


@pytest.fixture
def small(tmp_path: Path) -> Iterator[SmallDisk]:
    if reason := disk.why_not():
        pytest.skip(reason)
    with SmallDisk(tmp_path / "disk", 1 << 20) as made:
        yield made


def test_a_full_disk_takes_nothing_until_it_is_freed(small: SmallDisk) -> None:
    file = small.path / "file"
    small.fill()
    with pytest.raises(OSError, match="No space left"):
        file.write_bytes(b"1")
    small.free()
    assert file.write_bytes(b"1") == 1


def test_a_protected_disk_takes_nothing_until_it_is_opened_up(small: SmallDisk) -> None:
    file = small.path / "file"
    small.protect()
    with pytest.raises(OSError, match="Read-only"):
        file.write_bytes(b"1")
    small.open_up()
    assert file.write_bytes(b"1") == 1


def test_nothing_is_left_of_a_disk(tmp_path: Path, small: SmallDisk) -> None:
    with SmallDisk(tmp_path / "other", 65_536) as other:
        (other.path / "file").write_bytes(b"1")
    assert list(other.path.iterdir()) == []
