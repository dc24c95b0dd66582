"""What pages load and send: our own files only, passwords never back, a token in every form."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser

from tests.security.site import Site

Element = tuple[str, dict[str, str]]
#: What an element loads by itself.
LOADS = {"script": "src", "link": "href", "img": "src", "source": "src", "audio": "src"}


class Elements(HTMLParser):
    """The elements of a page in their order; a form's fields come after it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[Element] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        self.found.append((f"/{tag}", {}))

    def forms(self) -> Iterator[list[Element]]:
        """Yield each form with what is in it, the form itself first."""
        for at, (tag, _) in enumerate(self.found):
            if tag == "form":
                inside = self.found[at:]
                yield inside[: [name for name, _ in inside].index("/form")]


def pages(site: Site) -> Iterator[tuple[str, Elements]]:
    for role in (None, "viewer", "admin"):
        caller = site.client(role)
        for address in site.addresses("GET"):
            answer = caller.get(f"{address.path}?id=1", buffered=True)
            if answer.content_type.startswith("text/html"):
                yield f"{role} {address.path}", Elements(answer.text)


def test_pages_load_our_own_files_and_send_tokens_and_no_password_back(site: Site) -> None:
    loaded, forms, passwords = set(), 0, 0
    for where, page in pages(site):
        for tag, attributes in page.found:
            if tag in LOADS and not (tag == "link" and attributes["rel"] in ("next", "prev")):
                loaded.add(attributes[LOADS[tag]].partition("?")[0])
            if tag == "input" and attributes.get("type") == "password":
                passwords += 1
                assert not attributes.get("value"), where
                assert attributes["autocomplete"] in ("current-password", "new-password"), where
        for form in page.forms():
            is_post = form[0][1].get("method", "get").lower() == "post"
            fields = {attributes.get("name") for _, attributes in form}
            assert ("csrf_token" in fields) is is_post, (where, form[0])
            assert is_post or not any("password" in (name or "") for name in fields), where
            forms += is_post
    assert forms > 20
    assert passwords > 5
    assert loaded > {"/static/app.css", "/static/app.js"}
    assert {path for path in loaded if not path.startswith(("/static/", "data:image/"))} == set()
