"""`manage.py accounts`: for the owner of the machine, who may have locked themselves out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from sqlalchemy import Connection as Transaction
from sqlalchemy.exc import SQLAlchemyError

from database.settings import load
from webapp import store
from webapp.app import create_app
from webapp.front import errors
from webapp.people import accounts, registry, tables
from webapp.people.registry import Person, RefusedError
from webapp.settings import WebSettings

#: What is done to one account; what returns text returns its one-time password.
CHANGES: dict[str, Callable[[Transaction, Person], object]] = {
    "reset-password": registry.reset_password,
    "deactivate": registry.deactivate,
    "activate": registry.activate,
    "remove-second-factor": registry.remove_second_factor,
}


def run(options: argparse.Namespace) -> int:
    """Do what was asked for; return the exit status."""
    settings = load(WebSettings)
    app = create_app(settings)
    with app.app_context():
        try:
            _act(options, settings)
        except RefusedError as refusal:
            return _complain(str(refusal))
        except SQLAlchemyError as error:
            return _complain(errors.database_problem(error, in_own_words=True))
        finally:
            store.engine().dispose()
    return 0


def _act(options: argparse.Namespace, settings: WebSettings) -> None:
    if options.action == "list":
        with store.reading() as transaction:
            for each in registry.everybody(transaction, settings):
                _say(_line(each))
        return
    if options.action == "create":
        accounts.ensure_roles()
        with tables.changing() as transaction:
            _number, password = registry.create(transaction, options.email, options.role)
        _say(f"One-time password of {options.email}: {password}  (shown once)")
        return
    change = CHANGES[options.action]
    with tables.changing() as transaction:
        done = change(transaction, _found(transaction, settings, options.email))
    if isinstance(done, str):
        _say(f"One-time password of {options.email}: {done}  (shown once)")
    else:
        _say("Done.")


def _found(transaction: Transaction, settings: WebSettings, email: str) -> Person:
    number = registry.numbered(transaction, email)
    if number is None:
        msg = f"there is no account {email}"
        raise RefusedError(msg)
    tables.hold(transaction, number)
    return registry.person(transaction, settings, number)


def _line(each: Person) -> str:
    states = [each.role or "no role", "active" if each.active else "deactivated"]
    states += ["second factor"] if each.has_second_factor else []
    states += ["one-time password"] if each.must_change_password else []
    last = f"last sign-in {each.last_login_at:%Y-%m-%d %H:%M} UTC" if each.last_login_at else "new"
    return f"{each.email}  {', '.join(states)}, {last}, {each.sessions} sessions"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def _complain(sentence: str) -> int:
    sys.stderr.write(f"hawser: {sentence}\n")
    return 1
