"""The private PostgreSQL server, as the benchmarks use it."""

from bench.postgresql import ROLE, PostgreSQL, executable

__all__ = ["ROLE", "PostgreSQL", "executable"]
