"""What a browser calls itself, in words somebody recognises."""

from __future__ import annotations

from flask_babel import gettext as _

#: What a name contains, and what it means; the first that fits counts.
_BROWSERS = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("Chrome", "Chrome"),
    ("CriOS", "Chrome"),
    ("Safari", "Safari"),
    ("curl", "curl"),
    ("python", "Python"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def in_words(user_agent: str | None) -> str:
    """Return for example `Firefox on Linux`; the beginning of what is not known."""
    name = user_agent or ""
    browser = next((word for part, word in _BROWSERS if part.lower() in name.lower()), "")
    system = next((word for part, word in _SYSTEMS if part in name), "")
    if browser and system:
        return str(_("%(browser)s on %(system)s", browser=browser, system=system))
    return browser or system or name[:40] or str(_("unknown browser"))
