"""The version of Hawser, one for all processes."""

VERSION = "0.1.0"
