"""One application a module, with rows in every table, and visitors of every role."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from jinja2 import FileSystemBytecodeCache

from database import encryption
from tests.conftest import ENCRYPTION_KEY, HOSTNAME
from tests.security.filling import fill
from tests.security.site import Site
from tests.support.databases import Databases
from tests.web.conftest import SECRET_KEY, compiled_addresses, compiled_templates
from webapp.app import create_app
from webapp.settings import WebSettings

__all__ = ["compiled_addresses", "compiled_templates"]

MakeSite = Callable[..., Site]


@pytest.fixture(scope="module")
def make_site(
    sqlite_databases: Databases,
    tmp_path_factory: pytest.TempPathFactory,
    compiled_templates: FileSystemBytecodeCache,
) -> Iterator[MakeSite]:
    """A function that returns a site of its own, filled with `text`; its options are settings."""
    encryption.configure([ENCRYPTION_KEY])
    made: list[tuple[Site, Any]] = []

    def make(text: str | None = "plain", url: str | None = None, **options: Any) -> Site:
        database = None if url else sqlite_databases.migrated()
        values: dict[str, Any] = {
            "home": tmp_path_factory.mktemp("home"),
            "database_url": url or database.__enter__(),  # type: ignore[union-attr]
            "encryption_keys": ENCRYPTION_KEY,
            "secret_key": SECRET_KEY,
            "hostname": HOSTNAME,
        }
        app = create_app(WebSettings(**values | options))
        app.jinja_env.bytecode_cache = compiled_templates
        app.extensions["security"].pwd_context.update(argon2__rounds=1, argon2__memory_cost=64)
        site = Site(app)
        made.append((site, database))
        if text is not None:
            fill(site.engine, text)
        return site

    yield make
    for site, database in made:
        site.engine.dispose()
        if database is not None:
            database.__exit__(None, None, None)


@pytest.fixture(scope="module")
def site(make_site: MakeSite) -> Site:
    """A site with ordinary rows."""
    return make_site()
