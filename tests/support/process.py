"""Children and waiting, as the benchmarks use them."""

from bench.ports import HOST, accepts, free_port
from bench.processes import Child, allow_many_files, wait_until

__all__ = ["HOST", "Child", "accepts", "allow_many_files", "free_port", "wait_until"]
