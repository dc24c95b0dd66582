"""Measurements beside references, and the small tools that start servers for them.

The tests use the same tools (`processes`, `ports`, `mosquitto`); this package never
imports the tests.
"""
