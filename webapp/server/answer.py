"""An answer that is sent as fast as its client takes it, by whichever thread is free."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from webapp.server.channel import Channel


class Answer:
    """The answer of the application, and how far it has been sent."""

    def __init__(self, request: Any, response: Any, environ: Any, body: Iterable[bytes]) -> None:
        self.request, self.response, self.environ = request, response, environ
        self.began = datetime.now()
        self.is_complete = self.is_closed = False
        self._body, self._pieces = body, iter(body)

    def send(self, channel: Channel) -> None:
        """Send until the client takes no more, or all is sent."""
        for piece in self._pieces:
            self.response.write(piece)
            if channel.unsent_bytes:
                return
        self.response.close()
        self.is_complete = True

    def close(self) -> None:
        """Close the body of the application, which may ask the database."""
        if (close := getattr(self._body, "close", None)) is not None:
            close()
