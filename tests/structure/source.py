"""The source files of the project and what they import."""

from __future__ import annotations

import ast
from collections.abc import Set
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def python_files(*folders: str) -> list[Path]:
    """Return the Python files below the folders, relative to the project."""
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return sorted(path.relative_to(ROOT) for path in found)


@cache
def imports(path: Path) -> frozenset[str]:
    """Return the dotted names that a file imports, wherever in the file it does.

    `from a.b import c` counts as both `a.b` and `a.b.c`, as `c` may be a module.
    """
    names: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports from the top of the project"
            names.add(node.module or "")
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(names)


def below(names: Set[str], *packages: str) -> set[str]:
    """Return those of `names` that are one of `packages` or lie below one."""
    return {name for name in names for root in packages if f"{name}.".startswith(f"{root}.")}
