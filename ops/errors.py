"""The exceptions of the commands: a sentence for the person at the terminal."""


class CommandError(Exception):
    """Ends the command with its message on stderr and an exit status."""

    status = 1


class SettingError(CommandError):
    """A setting is wrong; the message names the variable. Exit status 2, as in the programs."""

    status = 2
