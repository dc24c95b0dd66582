"""gunicorn: one process with eight threads, no control socket, logs on stdout.

One process, because SQLite takes one writer at a time and the pages are light; threads,
because a slow reader must not hold up the health endpoint.
"""

import os
from pathlib import Path

import gunicorn.http.wsgi

bind = os.environ.get("HAWSER_BIND", "127.0.0.1:8000")
worker_class = "gthread"
workers = 1
threads = 8
#: Seconds in which a request must show progress.
timeout = 60
#: Seconds to finish open requests at a stop.
graceful_timeout = 10
keepalive = 5
# Heartbeats of gunicorn's own: in memory, so that a slow disk is not taken for a hang.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
control_socket_disable = True
preload_app = False
accesslog = None
errorlog = "-"
# Only as many proxies as HAWSER_TRUSTED_PROXIES says are believed (see webapp/app.py).
forwarded_allow_ips = "127.0.0.1"

# The Server header: which software and version answers is nobody's business.
gunicorn.http.wsgi.SERVER = "hawser"
