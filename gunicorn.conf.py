"""gunicorn: one process with many threads, no control socket, logs on stdout.

One process, because SQLite takes one writer at a time and the pages are light; threads,
because a slow page must not hold up the others; `webapp.server.worker` is how slow clients do
not. The settings are read here first: a wrong one ends the server with one sentence before it
forks anything.
"""

import gc
import logging
import os
import signal
import sys
from typing import Any

import gunicorn.glogging
import gunicorn.http.wsgi

from database import logs
from database.settings import WRONG_SETTING, ignored, load
from ops import bind_address, parent, standard_streams, surroundings
from ops.errors import SettingError
from webapp import database_watch, store
from webapp.front import closing, refusals
from webapp.settings import WebSettings

#: How long a thread keeps Python's lock while others wait for it, seconds: a page that is being
#: made must not hold up many short answers.
SWITCH_INTERVAL = 0.0001
sys.setswitchinterval(SWITCH_INTERVAL)

standard_streams.open_missing()
os.umask(0o077)
_settings = load(WebSettings)
try:
    surroundings.check_gunicorn(os.environ)
except SettingError as _error:
    sys.stderr.write(f"hawser: {_error}\n")
    sys.exit(WRONG_SETTING)
_binds = bind_address.bind_addresses(_settings.bind)
for _problem in filter(None, map(bind_address.problem, _binds)):
    sys.stderr.write(f"hawser: HAWSER_BIND {_problem}\n")
    sys.exit(WRONG_SETTING)
logs.configure(_settings.log_level, _settings.log_format)
if (_words := ignored()) is not None:
    logging.getLogger("webapp").warning(_words)
parent.end_with_supervisord(signal.SIGTERM)
closing.configure()


def post_worker_init(_worker: Any) -> None:
    """Watch the database; leave the application out of every later search for garbage.

    To look through all of it holds up every thread for a tenth of a second.
    """
    database_watch.start(_settings)
    gc.collect()
    gc.freeze()
    # gunicorn refuses requests whose path does not begin with it; PathPrefix takes both.
    os.environ.pop("SCRIPT_NAME", None)


class Logger(gunicorn.glogging.Logger):  # type: ignore[misc]
    """Sends gunicorn's own lines the way of all others."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.handlers[:] = []
        self.error_log.propagate = True


bind = [str(address) for address in _binds]
worker_class = "webapp.server.worker.Worker"
workers = 1
#: See webapp/server/lanes.py for those of others than pages.
threads = store.THREADS_OF_PAGES
#: Clients at once; where there are more, the one that lingers longest goes.
worker_connections = 1000
#: As much as gunicorn takes: an address holds a text to look for, a character of which may
#: take twelve bytes there.
limit_request_line = 8190
#: Seconds after which a process whose poller stands still is replaced; a page may take longer.
timeout = 10
#: Seconds to finish open requests at a stop.
graceful_timeout = 10
keepalive = 5
# Heartbeats of gunicorn's own: in memory, so that a slow disk is not taken for a hang.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
control_socket_disable = True
preload_app = False
logger_class = Logger
accesslog = None
# gunicorn itself believes nobody: webapp/app.py does, as many proxies as
# HAWSER_TRUSTED_PROXIES says. Else any program on this machine could claim to be HTTPS.
forwarded_allow_ips = ""

# The Server header: which software and version answers is nobody's business.
gunicorn.http.wsgi.SERVER = "hawser"
refusals.answer_in_our_words()
