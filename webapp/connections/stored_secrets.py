"""The stored secrets that a form leaves as they are, and why they may not be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection as Transaction

from database import reasons
from webapp import columns
from webapp.connections import records, secret_release
from webapp.wording import texts
from webapp.wording.language import in_words


@dataclass(frozen=True, slots=True)
class StoredSecrets:
    """The secrets of one record that are kept, as of one moment."""

    #: The record that holds them, with where it leads; empty for a record that is new.
    holder: Mapping[str, object] = field(default_factory=dict)
    kept: records.Values = field(default_factory=dict)
    is_gone: bool = False

    @property
    def readable(self) -> records.Values:
        """The kept secrets, None for those that no key opens."""
        return {
            name: None if value == columns.UNREADABLE else value
            for name, value in self.kept.items()
        }

    def refusals(self, wanted: records.Values, wrong: Mapping[str, str]) -> dict[str, str]:
        """Return why the kept secrets must not go where `wanted` leads."""
        if self.is_gone:
            return {"revision": str(texts.RECORD_GONE)}
        if not self.kept:
            return {}
        return secret_release.refusals(self.holder, wanted, self.kept, wrong)

    def unreadable(self) -> dict[str, str]:
        """Return a sentence for each kept secret that no key opens."""
        return {
            name: in_words(reasons.explain("secret_undecryptable", {"field": name}))
            for name, value in self.kept.items()
            if value == columns.UNREADABLE
        }


def read(transaction: Transaction, holder_id: int | None, entered: records.Values) -> StoredSecrets:
    """Return the secrets of a record that `entered` neither replaces nor removes."""
    if holder_id is None:
        return StoredSecrets()
    holder = records.read_secrets(transaction, holder_id)
    if holder is None:
        return StoredSecrets(is_gone=True)
    kept = {
        name: holder[name]
        for name in records.SECRETS
        if holder[name] is not None and name not in entered
    }
    return StoredSecrets(holder, kept)
