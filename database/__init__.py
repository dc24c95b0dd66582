"""What the web and the worker share: tables, stored words, settings and sessions.

The basement of the house. It imports no Flask, no gevent and no gmqtt, so that
both processes can stand on it. Importing this package does nothing.
"""
