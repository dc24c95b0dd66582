"""The worker: one permanent process that holds one MQTT client per enabled record.

Floors from the bottom, nothing points up: core (pure), ports, adapters (one library
each), service (greenlets), entry. It is never monkey-patched; see docs/architecture.md.
"""
