"""What several tests of the database package share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from sqlalchemy import make_url

from tests.support.databases import Databases


@pytest.fixture
def file(tmp_path: Path, sqlite_databases: Databases) -> Path:
    """Return an SQLite file with the schema, which a test may harm."""
    with sqlite_databases.migrated() as url:
        return Path(shutil.copyfile(make_url(url).database or "", tmp_path / "hawser.db"))
