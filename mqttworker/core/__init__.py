"""The life of a connection as pure functions: no I/O, no clock of its own, no gevent."""
