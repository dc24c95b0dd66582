"""`python -m webapp`: set-up, accounts, import and export of connections, new keys."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from database import encryption
from ops import standard_streams


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = _parser().parse_args(arguments)
    if options.command == "new-key":
        sys.stdout.write(encryption.new_key() + "\n")
        return 0
    if options.command == "words":
        from webapp.wording import catalogues

        catalogues.write()
        return 0
    # Only from here on the settings are read and the libraries loaded.
    from webapp import setup
    from webapp.connections import portability

    if options.command == "setup":
        sample = _sample(options)
        chosen = setup.Sample(*sample) if sample else None
        setup.run(chosen, keep_trying=options.keep_trying)
        return 0
    if options.command == "accounts":
        from webapp.people import command_line

        return command_line.run(options)
    if options.action == "import":
        return portability.import_file(options.file)
    return portability.export_file(options.file)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m webapp", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    prepare = commands.add_parser("setup", help="keys, schema, first account; safe to repeat")
    prepare.add_argument("--sample", metavar="HOST:PORT", help="the broker of a sample connection")
    prepare.add_argument("--sample-user", metavar="NAME", default="demo")
    prepare.add_argument("--sample-password-file", metavar="FILE", type=Path)
    prepare.add_argument(
        "--keep-trying", action="store_true", help="wait for whatever is wrong with the database"
    )
    commands.add_parser("words", help="make the catalogues of all languages anew")
    commands.add_parser("new-key", help="print a key for HAWSER_ENCRYPTION_KEYS")
    _add_accounts(commands.add_parser("accounts", help="who may sign in, and as what"))
    connections = commands.add_parser("connections", help="connection records as JSON")
    actions = connections.add_subparsers(dest="action", required=True)
    actions.add_parser("import", help="create and update").add_argument("file", metavar="FILE")
    actions.add_parser("export", help="without secrets").add_argument(
        "file", metavar="FILE", nargs="?", default="-"
    )
    return parser


def _add_accounts(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("list", help="all accounts")
    create = actions.add_parser("create", help="make one; prints its one-time password")
    create.add_argument("email", metavar="EMAIL")
    create.add_argument("--role", choices=("viewer", "operator", "admin"), default="viewer")
    for name, words in (
        ("reset-password", "print a new one-time password, end all sessions"),
        ("deactivate", "let nobody sign in, end all sessions"),
        ("activate", "let the account sign in again"),
        ("remove-second-factor", "ask for the password only, end all sessions"),
    ):
        actions.add_parser(name, help=words).add_argument("email", metavar="EMAIL")


def _sample(options: argparse.Namespace) -> tuple[str, int, str, Path] | None:
    if not options.sample:
        return None
    host, _, port = options.sample.rpartition(":")
    if not host or not port.isdigit() or options.sample_password_file is None:
        sys.exit("hawser: --sample needs HOST:PORT, and --sample-password-file beside it")
    return host, int(port), options.sample_user, options.sample_password_file


if __name__ == "__main__":
    if sys.argv[1:2] != ["words"]:
        # What a command writes only its owner may read; catalogues belong to the checkout.
        os.umask(0o077)
    standard_streams.run(main)
