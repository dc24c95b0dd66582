"""`/admin/certificates/`: which certificate expires when, the first first."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask_admin import BaseView, expose
from flask_babel import gettext as _

from webapp import certificates, store
from webapp.certificate_use import Certificate
from webapp.picture.verdict import ROLES

#: Certificates on the page, and connections named with one.
SHOWN, NAMED = 200, 3


class CertificateView(BaseView):  # type: ignore[misc]
    """The certificates of all records with TLS and of their brokers."""

    def __init__(self) -> None:
        super().__init__("Certificates", endpoint="certificates", url="/admin/certificates")

    @expose("/")
    def index_view(self) -> Any:
        with store.reading() as transaction:
            now = certificates.moment(transaction)
            found = certificates.groups(certificates.read(transaction))
        return self.render(
            "certificates.html",
            groups=found[:SHOWN],
            total=len(found),
            named=NAMED,
            roles=ROLES,
            now=now,
            verdict=lambda certificate: verdict(certificate, now),
        )


def verdict(certificate: Certificate, now: datetime) -> tuple[str, str, str]:
    """Return (tone, icon, word) for how urgent a certificate is."""
    if certificate.expires is None:
        return "bad", "!", _("not known")
    left = certificate.expires - now
    if left.total_seconds() <= 0:
        return "bad", "✕", _("expired")
    if left <= certificates.WARN_WITHIN:
        return "warn", "▲", _("under 14 days")
    if left <= certificates.SOON_WITHIN:
        return "warn", "◷", _("under 30 days")
    return "good", "✓", _("fine")
