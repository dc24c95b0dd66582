"""Settings of the worker; the environment variables are named in docs/operations.md."""

from __future__ import annotations

from pydantic import Field

from database.settings import Settings

#: Longest stop, seconds: a second or two before supervisord kills (stopwaitsecs).
LONGEST_STOP = 8.0


class WorkerSettings(Settings):
    """What only the worker needs."""

    #: Seconds between two sweeps of `monitor_connections`.
    monitor_interval: float = Field(default=30.0, gt=0, le=3600)
    #: Seconds between two looks at `config_version`.
    config_poll_interval: float = Field(default=1.0, gt=0, le=60)
    #: Seconds that the whole stop may take; see `longest_stop`.
    shutdown_timeout: float = Field(default=5.0, ge=1, le=60)
    #: Longest packet that is accepted from a broker, bytes.
    max_packet_bytes: int = Field(default=1_048_576, ge=1024, le=268_435_455)
    #: Received messages that may wait to be stored, over all connections.
    message_queue_messages: int = Field(default=250_000, ge=100, le=100_000_000)
    #: The same in bytes of memory.
    message_queue_bytes: int = Field(default=134_217_728, ge=1_048_576, le=1_099_511_627_776)
    #: CONNECTs a second to one broker while its connections come back.
    connect_rate: float = Field(default=400.0, gt=0, le=100_000)

    @property
    def longest_stop(self) -> float:
        """Seconds that the stop takes at most: a kill by supervisord would leave no goodbye."""
        return min(self.shutdown_timeout, LONGEST_STOP)
