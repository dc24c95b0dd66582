"""The private mosquitto, as the benchmarks use it."""

from bench.mosquitto import Mosquitto, ServerTls, executable

__all__ = ["Mosquitto", "ServerTls", "executable"]
