"""Light, dark, or as the system says; without a script too, and without a flash."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import Site

Open = Callable[..., Page]
BACK = "getComputedStyle(document.body).backgroundColor"


def choose(page: Page, name: str) -> None:
    page.wait_for_load_state()
    page.locator("header .account summary").click()
    page.get_by_role("button", name=name, exact=True).click()


def test_a_theme_is_chosen_kept_and_given_back_to_the_system(site: Site, open_page: Open) -> None:
    page = open_page("/admin/connections/new/", color_scheme="light")
    light = page.evaluate(BACK)
    page.get_by_label("Name (required)").fill("typed")
    with page.expect_response("**/admin/help/look"):
        choose(page, "Dark")
    dark = page.evaluate(BACK)
    assert dark != light
    # Nothing was reloaded: what was typed is still there.
    expect(page.get_by_label("Name (required)")).to_have_value("typed")
    page.goto("/admin/events/")
    assert page.evaluate(BACK) == dark
    assert page.locator("html").get_attribute("data-theme") == "dark"
    page.goto("/nowhere")
    assert page.evaluate(BACK) == dark
    site.complaints.clear()  # the browser reports every answer that is no success
    page.goto("/admin/events/")
    with page.expect_response("**/admin/help/look"):
        choose(page, "Auto")
    page.reload()
    assert page.evaluate(BACK) == light
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(BACK) == dark


def test_the_theme_is_chosen_without_scripts(site: Site, open_page: Open) -> None:
    page = open_page("/admin/events/?state=connected", java_script_enabled=False)
    choose(page, "Dark")
    assert page.url.endswith("/admin/events/?state=connected")
    assert page.locator("html").get_attribute("data-theme") == "dark"
    page.locator("header .account summary").click()
    expect(page.get_by_role("button", name="Dark", exact=True)).to_have_attribute(
        "aria-pressed", "true"
    )
