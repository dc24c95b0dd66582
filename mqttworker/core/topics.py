"""Which Topic Filter matches which Topic Name: the same for the worker and the web."""

from database.topics import matches, unshared

__all__ = ["matches", "unshared"]
