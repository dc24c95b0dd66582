"""Which broker `auto` has found to work with MQTT 3.1.1, so that it is not asked for 5 each time.

Remembered over restarts of the worker, in wall-clock time, and only for the broker it was
seen at: another host, port or TLS is another broker.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from database.reasons import REASONS
from mqttworker.core.cause import Cause, cause
from mqttworker.core.spec import ConnectionSpec

#: So long after MQTT 5 was tried last the next session tries it first: the broker may have been
#: upgraded, seconds.
TRY_5_AGAIN = 86_400.0


@dataclass(frozen=True, slots=True)
class Fallback:
    """A broker that wants 3.1.1."""

    broker: str
    #: When MQTT 5 was tried last, seconds since 1970.
    tried_5_at: float
    #: Why MQTT 5 did not work.
    why: Cause

    def is_for(self, spec: ConnectionSpec) -> bool:
        """Whether it was seen at the broker of `spec`."""
        return self.broker == fingerprint(spec)


def fingerprint(spec: ConnectionSpec) -> str:
    """Return what tells one broker from another: host, port and TLS."""
    tls = spec.tls and (spec.tls.verify, spec.tls.ca_pem, spec.tls.client_cert_pem)
    return hashlib.sha256(repr((spec.broker, tls)).encode()).hexdigest()[:32]


def to_json(fallback: Fallback | None) -> dict[str, Any] | None:
    """Return what is stored."""
    if fallback is None:
        return None
    detail = {key: value for key, value in fallback.why.detail.items() if key != "other_version"}
    return {
        "broker": fallback.broker,
        "tried_5_at": fallback.tried_5_at,
        "code": fallback.why.code,
        "detail": detail,
    }


def from_json(stored: object) -> Fallback | None:
    """Return what was stored, None if it makes no sense."""
    if not isinstance(stored, Mapping):
        return None
    broker, at, code = (stored.get(key) for key in ("broker", "tried_5_at", "code"))
    detail = stored.get("detail")
    if not isinstance(broker, str) or not isinstance(at, int | float) or code not in REASONS:
        return None
    why = replace(cause(code), detail=dict(detail) if isinstance(detail, Mapping) else {})
    return Fallback(broker, at, why)
