"""gunicorn's threaded worker, in which no client can hold a thread.

The thread that accepts connections also reads requests and sends what clients have not taken yet,
for all of them at once and with deadlines. Another thread only gets a request that is complete,
and leaves an answer that its client does not read.
"""

from __future__ import annotations

import errno
import selectors
import socket
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from functools import partial
from threading import Event, Thread
from typing import Any

from gunicorn.http import get_parser, wsgi
from gunicorn.http.errors import NoMoreData
from gunicorn.workers.gthread import ThreadWorker

from webapp.front import closing, refusals
from webapp.server import lanes
from webapp.server.answer import Answer
from webapp.server.channel import Channel
from webapp.server.incoming import Progress

#: Seconds between two looks at the deadlines.
LOOK_EVERY = 0.5
#: Connections that are accepted before others have their turn.
ACCEPT_AT_ONCE = 64
#: Answers that clients do not take hold so much memory at most, bytes.
MOST_UNSENT = 64 * 1024 * 1024
#: What the kernel keeps for one client of an answer that is not taken, bytes.
KEPT_BY_KERNEL = 131_072
#: Seconds that a server that stops leaves to a request that may be on its way.
LINGER_S = 2.0
#: Seconds in which the application must be loaded.
LOAD_S = 60
_NO_FILES_LEFT = (errno.EMFILE, errno.ENFILE)


class Worker(ThreadWorker):  # type: ignore[misc]
    """Reads and writes without waiting; `lanes` says which threads answer."""

    poller: selectors.BaseSelector
    alive: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._channels: set[Channel] = set()
        self._pools: dict[lanes.Lane, ThreadPoolExecutor] = {}
        self._addresses: dict[Any, Any] = {}
        self._waiting = dict.fromkeys(lanes.Lane, 0)

    def init_process(self) -> None:
        """Make the threads and run."""
        self._pools = {
            lane: ThreadPoolExecutor(count, lane.name.lower())
            for lane, count in lanes.THREADS.items()
        }
        super().init_process()

    def load_wsgi(self) -> None:
        """Load the application; a slow machine is not taken for a hang meanwhile."""
        is_loaded = Event()
        Thread(target=self._notify_until, args=(is_loaded,), daemon=True).start()
        try:
            super().load_wsgi()
        finally:
            is_loaded.set()

    def _notify_until(self, is_loaded: Event) -> None:
        for _ in range(LOAD_S):
            self.notify()
            if is_loaded.wait(1):
                return

    def run(self) -> None:
        """Serve until the worker is to stop, then finish what is under way."""
        wakes = self.method_queue
        self.poller.register(wakes.fileno(), selectors.EVENT_READ, wakes.run_callbacks)
        for listener in self.sockets:
            # The sockets of clients inherit it.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KEPT_BY_KERNEL)
            self._addresses[listener] = listener.getsockname()
        self.set_accept_enabled(True)
        while self.alive and self.is_parent_alive():
            self._turn()
        self.set_accept_enabled(False)
        self._stop()
        for pool in (self.tpool, *self._pools.values()):
            pool.shutdown(wait=False)
        self.poller.close()
        wakes.close()
        for listener in self.sockets:
            listener.close()

    def _turn(self) -> None:
        self.notify()
        self.wait_for_and_dispatch_events(timeout=LOOK_EVERY)
        self._look_at_deadlines()

    def _stop(self) -> None:
        now = time.monotonic()
        for channel in self._reading():
            channel.deadline = min(channel.deadline, now + LINGER_S)
        while self._channels and time.monotonic() < now + self.cfg.graceful_timeout:
            self._turn()
        for channel in list(self._channels):
            self._drop(channel)

    # --- the poller: accept and read

    def accept(self, listener: Any) -> None:
        """Take new clients; where there are too many, the one that lingers longest goes."""
        for _ in range(ACCEPT_AT_ONCE):
            try:
                sock, client = listener.accept()
            except OSError as error:
                if error.errno in _NO_FILES_LEFT:
                    self._make_room()
                return
            if len(self._channels) >= self.worker_connections and not self._make_room():
                sock.close()
                continue
            channel = Channel(sock, client, self._addresses[listener])
            self._channels.add(channel)
            # Most have sent their request by now.
            self._go_on(channel, self._read)

    def _make_room(self) -> bool:
        idle = self._reading() or [each for each in self._channels if each.is_watched]
        if not idle:
            return False
        self._drop(min(idle, key=lambda channel: channel.deadline))
        return True

    def _reading(self) -> list[Channel]:
        return [each for each in self._channels if each.is_watched and not each.is_answering]

    def _watch(self, channel: Channel, events: int) -> None:
        self.poller.register(channel.sock, events, partial(self._on_ready, channel))
        channel.is_watched = True

    def _unwatch(self, channel: Channel) -> None:
        if channel.is_watched:
            self.poller.unregister(channel.sock)
            channel.is_watched = False

    def _on_ready(self, channel: Channel, _sock: socket.socket) -> None:
        # An earlier event of this turn may have dropped it.
        if channel.is_watched:
            self._go_on(channel, self._write if channel.is_answering else self._read)

    def _go_on(self, channel: Channel, step: Callable[[Channel], None]) -> None:
        """Take one step with a client; whatever goes wrong ends only its own connection."""
        try:
            step(channel)
        except Exception as error:
            if not isinstance(error, OSError):
                self.log.exception("Error with a client's connection")
            self._drop(channel)

    def _read(self, channel: Channel) -> None:
        if channel.receive():
            self._go_on_reading(channel)
        else:
            self._drop(channel)

    def _go_on_reading(self, channel: Channel) -> None:
        progress = channel.request.progress
        if progress is Progress.TOO_LONG:
            self._refuse(channel, 431, "Request Header Fields Too Large")
        elif progress in (Progress.COMPLETE, Progress.LARGE):
            self._hand_over(channel)
        elif not channel.is_watched:
            self._watch(channel, selectors.EVENT_READ)

    def _hand_over(self, channel: Channel) -> None:
        is_large = channel.request.progress is Progress.LARGE
        channel.lane = lanes.choose(channel.request.path, is_large=is_large)
        most = lanes.MOST_WAITING[channel.lane] + lanes.THREADS[channel.lane]
        if self._waiting[channel.lane] >= most:
            self._refuse(channel, 503, "Service Unavailable")
            return
        channel.begin()
        self._submit(channel, self._begin)

    def _submit(self, channel: Channel, work: Any) -> None:
        self._unwatch(channel)
        self._waiting[channel.lane] += 1
        done = self._pools[channel.lane].submit(work, channel)
        done.add_done_callback(partial(self.method_queue.defer, self._handed_back, channel))

    # --- the poller: write and end

    def _handed_back(self, channel: Channel, done: Future[None]) -> None:
        self._waiting[channel.lane] -= 1
        if channel.is_broken or done.cancelled() or done.exception():
            self._drop(channel)
        elif channel.unsent_bytes:
            channel.park()
            self._watch(channel, selectors.EVENT_WRITE)
        else:
            self._go_on(channel, self._go_on_writing)

    def _write(self, channel: Channel) -> None:
        channel.flush()
        if not channel.unsent_bytes:
            self._go_on_writing(channel)

    def _go_on_writing(self, channel: Channel) -> None:
        answer: Answer | None = channel.answer
        if answer is not None and not answer.is_complete:
            self._submit(channel, self._continue)
        elif answer is None or answer.response.should_close() or not self.alive:
            self._let_go(channel)
        else:
            self._unwatch(channel)
            channel.again(self.cfg.keepalive)
            self._go_on_reading(channel)

    def _look_at_deadlines(self) -> None:
        now = time.monotonic()
        late = [each for each in self._channels if each.is_watched and each.deadline <= now]
        for channel in late:
            self._end_late(channel)
        unsent = {each: each.unsent_bytes for each in self._channels if each.is_watched}
        held = sum(unsent.values())
        for channel in sorted(unsent, key=lambda each: each.deadline):
            if held <= MOST_UNSENT:
                break
            if unsent[channel]:
                held -= unsent[channel]
                self._drop(channel)

    def _end_late(self, channel: Channel) -> None:
        if channel.is_answering:
            self._drop(channel)
        elif channel.request.is_empty:
            self._let_go(channel)
        else:
            self._refuse(channel, 408, "Request Timeout")

    def _refuse(self, channel: Channel, status: int, reason: str) -> None:
        try:
            channel.sendall(refusals.answer(status, reason))
        except OSError:
            self._drop(channel)
        else:
            self._let_go(channel)

    def _let_go(self, channel: Channel) -> None:
        """Close the connection of a client that got all."""
        self._forget(channel)
        closing.let_go(channel.sock)

    def _drop(self, channel: Channel) -> None:
        """Close the connection of a client that got less, or has gone."""
        self._forget(channel)
        channel.abort()
        if channel.answer is not None:
            # In a thread: what the application does to tidy up may wait.
            self._pools[channel.lane].submit(self._close, channel.answer)

    def _forget(self, channel: Channel) -> None:
        self._unwatch(channel)
        self._channels.discard(channel)

    # --- the threads of a lane

    def _begin(self, channel: Channel) -> None:
        """Answer a request that has come."""
        request = None
        try:
            request = next(get_parser(self.cfg, channel, channel.client))
            self._respond(channel, request)
        except (NoMoreData, StopIteration, ConnectionError):
            channel.is_broken = True
        except Exception as error:  # noqa: BLE001 - gunicorn logs it and answers
            self.handle_error(request, channel, channel.client, error)

    def _respond(self, channel: Channel, request: Any) -> None:
        self.cfg.pre_request(self, request)
        response, environ = wsgi.create(request, channel, channel.client, channel.server, self.cfg)
        environ["wsgi.multithread"] = True
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False
        if not (self.alive and self.cfg.keepalive and channel.request.may_stay_open):
            response.force_close()
        body = self.wsgi(environ, response.start_response)
        channel.answer = Answer(request, response, environ, body)
        self._continue(channel)

    def _continue(self, channel: Channel) -> None:
        """Send more of an answer."""
        answer: Answer = channel.answer
        try:
            answer.send(channel)
        except ConnectionError:
            channel.is_broken = True
        except Exception as error:
            answer.is_complete = True
            answer.response.force_close()
            if answer.response.headers_sent:
                # Only a connection that breaks tells the client that this is not all.
                channel.is_broken = True
                self.log.exception("Error handling request")
            else:
                self.handle_error(answer.request, channel, channel.client, error)
        if answer.is_complete or channel.is_broken:
            self._close(answer)

    def _close(self, answer: Answer) -> None:
        """Tidy up after an answer, once."""
        if answer.is_closed:
            return
        answer.is_closed = True
        took = datetime.now() - answer.began
        self.log.access(answer.response, answer.request, answer.environ, took)
        try:
            answer.close()
            self.cfg.post_request(self, answer.request, answer.environ, answer.response)
        except Exception:
            self.log.exception("Error at the end of a request")
