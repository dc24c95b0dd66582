"""Address rules are compiled once a process, not once an application."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from werkzeug.routing import Rule


@contextmanager
def compiled_once() -> Iterator[None]:
    """Let every application that is made in the block share the compiled rules."""
    compile_builder = Rule._compile_builder
    known: dict[object, Callable[..., tuple[str, str]]] = {}

    def look_up(rule: Rule, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        # All that the code is made of; it gets the rule itself when it is called.
        defaults = repr(sorted((rule.defaults or {}).items()))
        key = (rule.rule, tuple(rule._trace), defaults, append_unknown)
        if key not in known:
            known[key] = compile_builder(rule, append_unknown)
        return known[key]

    replaced: Any = Rule
    replaced._compile_builder = look_up
    try:
        yield
    finally:
        replaced._compile_builder = compile_builder
