"""The commands of `manage.py`: what each is called, takes and hands over to."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ops import (
    checks,
    lock,
    private_files,
    run,
    surroundings,
    virtual_environment,
    worker_process,
)
from ops.bind_address import LAST_PORT
from ops.errors import CommandError

HELP = frozenset({"-h", "--help"})
#: Exit status of a program that Ctrl-C ended, as shells report it.
INTERRUPTED = 130


def main(arguments: list[str]) -> int:
    """Run one command; return its exit status. A `CommandError` becomes one sentence on stderr."""
    private_files.keep_new_files_private()
    options, rest = _parser().parse_known_args(arguments)
    if rest and not options.takes_more:
        options.parser.error(f"unrecognised arguments: {' '.join(rest)}")
    if HELP & set(rest):
        return _help(options, rest)
    command: Callable[[argparse.Namespace, list[str]], int] = options.command
    try:
        return command(options, rest)
    except CommandError as problem:
        sys.stderr.write(f"manage.py: {problem}\n")
        return problem.status
    except BrokenPipeError:
        raise
    except OSError as error:
        sys.stderr.write(f"manage.py: {_in_words(error)}\n")
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def _help(options: argparse.Namespace, rest: list[str]) -> int:
    """Show the help of a program if it is installed, else our own; neither makes anything."""
    program: Program | None = options.program
    python = virtual_environment.installed(program.packages) if program else None
    if program is None or python is None:
        options.parser.print_help()
        return 0
    return _hand_over(python, [*program.arguments, *rest], dict(os.environ))


def _in_words(error: OSError) -> str:
    if error.strerror is None:
        return str(error)
    return f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}."


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="manage.py", description="Set up and operate Hawser.", allow_abbrev=False
    )
    parser.add_argument(
        "--home", metavar="DIR", help="data directory (default: HAWSER_HOME, else ./var)"
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_run(commands)
    _add(commands, "test", _test, "install all it needs, then run the tests (takes pytest options)")
    _add(commands, "lint", _lint, "ruff, ruff format --check, mypy --strict")
    _add(commands, "bench", _bench, "run a benchmark, for example `bench connect`")
    _add_connections(commands)
    _add(commands, "accounts", _accounts, "who may sign in: list, create, reset-password ...")
    _add(commands, "supervisorctl", _supervisorctl, "status, stop mqttworker, start mqttworker ...")
    _add(commands, "new-key", _new_key, "print a new encryption key")
    _add(commands, "words", _words, "take the texts of the pages into the catalogues of languages")
    _add(commands, "lock", _lock, "compile requirements/*.txt anew from pyproject.toml")
    return parser


@dataclass(frozen=True)
class Program:
    """A program behind a command that can tell its own options."""

    arguments: tuple[str, ...]
    #: The set of packages that it needs.
    packages: str


#: Those that print their help without settings and without a data directory.
PROGRAMS = {
    "accounts": Program(("-m", "webapp", "accounts"), "demo"),
    "bench": Program(("-m", "bench"), "dev"),
}

Commands = argparse._SubParsersAction  # the only name that argparse gives to this type


def _add(
    commands: Commands[argparse.ArgumentParser],
    name: str,
    function: Callable[[argparse.Namespace, list[str]], int],
    words: str,
) -> argparse.ArgumentParser:
    # What follows the name belongs to the program behind it, `--help` too.
    takes_more = name not in ("run", "connections", "lint", "new-key", "words", "lock")
    parser = commands.add_parser(
        name, help=words, description=words, add_help=not takes_more, allow_abbrev=False
    )
    program = PROGRAMS.get(name)
    parser.set_defaults(command=function, takes_more=takes_more, parser=parser, program=program)
    if not takes_more:
        # Behind the command it means the same; SUPPRESS keeps one given before it.
        parser.add_argument("--home", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return parser


def _add_run(commands: Commands[argparse.ArgumentParser]) -> None:
    words = "set up and start everything in the foreground; Ctrl-C stops it"
    parser = _add(commands, "run", _run, words)
    parser.add_argument("--port", type=_port, metavar="N", help="port of the web (default 8000)")
    parser.add_argument("--no-demo", action="store_true", help="without the demo broker")


def _port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= LAST_PORT:
        msg = f"must be a port from 1 to {LAST_PORT}"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def _add_connections(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = _add(commands, "connections", _connections, "import or export connections as JSON")
    kinds = parser.add_subparsers(dest="action", metavar="import|export", required=True)
    kinds.add_parser("import", help="create or update").add_argument("file", metavar="FILE")
    kinds.add_parser("export", help="without secrets").add_argument(
        "file", metavar="FILE", nargs="?", help="default: standard output"
    )


def _run(options: argparse.Namespace, _rest: list[str]) -> int:
    home = surroundings.home_directory(options.home)
    wanted = run.Wanted(home=home, port=options.port, demo=not options.no_demo)
    return run.run(wanted)


def _test(_options: argparse.Namespace, rest: list[str]) -> int:
    return checks.test(rest)


def _lint(_options: argparse.Namespace, _rest: list[str]) -> int:
    return checks.lint()


def _bench(options: argparse.Namespace, rest: list[str]) -> int:
    python = virtual_environment.ensure("dev")
    home = surroundings.home_directory(options.home)
    return _hand_over(python, ["-m", "bench", *rest], surroundings.environment(home))


def _connections(options: argparse.Namespace, _rest: list[str]) -> int:
    python = virtual_environment.ensure("run")
    home = surroundings.home_directory(options.home)
    # The program runs in the checkout; the file was named from where the user stands.
    here = options.file in (None, "-")
    files = [options.file or "-"] if here else [str(Path(options.file).absolute())]
    arguments = ["-m", "webapp", "connections", options.action, *files]
    return _hand_over(python, arguments, surroundings.environment(home))


def _accounts(options: argparse.Namespace, rest: list[str]) -> int:
    python = virtual_environment.ensure("run")
    home = surroundings.home_directory(options.home)
    arguments = ["-m", "webapp", "accounts", *rest]
    return _hand_over(python, arguments, surroundings.environment(home))


def _supervisorctl(options: argparse.Namespace, rest: list[str]) -> int:
    home = surroundings.home_directory(options.home)
    _require_running(home)
    python = virtual_environment.ensure("run")
    arguments = ["-m", "supervisor.supervisorctl", "-c", str(surroundings.SUPERVISOR_CONFIG)]
    environment = surroundings.supervisor_environment(home, python)
    status = _hand_over(python, [*arguments, *rest], environment)
    if rest[:1] == ["status"] and (orphans := worker_process.orphans(home)):
        sys.stdout.write(f"{worker_process.sentence(orphans)}\n")
    return status


def _require_running(home: Path) -> None:
    """Raise CommandError unless a supervisord answers; it names a worker that lives on."""
    if run.is_running(home):
        return
    msg = f"Hawser is not running from {home}; `python3 manage.py run` starts it."
    if orphans := worker_process.orphans(home):
        msg = f"{msg} {worker_process.sentence(orphans)}"
    raise CommandError(msg)


def _new_key(options: argparse.Namespace, _rest: list[str]) -> int:
    python = virtual_environment.ensure("run")
    home = surroundings.home_directory(options.home)
    return _hand_over(python, ["-m", "webapp", "new-key"], surroundings.environment(home))


def _words(options: argparse.Namespace, _rest: list[str]) -> int:
    python = virtual_environment.ensure("run")
    home = surroundings.home_directory(options.home)
    # The catalogues belong to the checkout.
    with private_files.usual_umask():
        return _hand_over(python, ["-m", "webapp", "words"], surroundings.environment(home))


def _lock(_options: argparse.Namespace, _rest: list[str]) -> int:
    with private_files.usual_umask():
        return lock.lock()


def _hand_over(python: Path, arguments: list[str], environment: dict[str, str]) -> int:
    """Run a program of the virtual environment in the checkout; return its exit status."""
    done = subprocess.run(
        [str(python), *arguments], cwd=surroundings.ROOT, env=environment, check=False
    )
    # A program that a signal ended has a negative status; shells call that 128 + signal.
    return done.returncode if done.returncode >= 0 else 128 - done.returncode
