"""Texts that wait for their page are escaped there like any other."""

from __future__ import annotations

from flask import Flask, render_template_string

from tests.structure.source import below, imports, python_files
from webapp.wording.lazy import lazy_gettext


def test_a_lazy_text_is_escaped_with_what_fills_it(app: Flask) -> None:
    text = lazy_gettext("<topic> of %(name)s", name="<b>plant</b>")
    with app.test_request_context():
        shown = render_template_string("{{ text }}", text=text)
    assert shown == "&lt;topic&gt; of &lt;b&gt;plant&lt;/b&gt;"


def test_nobody_takes_the_librarys_own_lazy_texts() -> None:
    names = ("flask_babel.lazy_gettext", "flask_babel.lazy_ngettext", "flask_babel.lazy_pgettext")
    assert [path for path in python_files("webapp") if below(imports(path), *names)] == []
