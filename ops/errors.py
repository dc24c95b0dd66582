"""The one exception of the commands: a sentence for the person at the terminal."""


class CommandError(Exception):
    """Ends the command with its message on stderr and exit status 1."""
