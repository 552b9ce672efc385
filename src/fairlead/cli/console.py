"""`fairlead console`."""

from __future__ import annotations

import getpass
import sys
from argparse import ArgumentParser, Namespace

from fairlead.cli.output import say, settings_from
from fairlead.config import add_flags
from fairlead.console.users import Users
from fairlead.errors import Code, FairleadError

__all__ = ["EXAMPLE", "configure", "run"]

EXAMPLE = """example:
  fairlead console password ann
  pass show fairlead | fairlead console password ann
  fairlead console users

The console is at the management port of fairlead serve: http://127.0.0.1:8502/console/"""


def configure(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    password = actions.add_parser("password", help="set a user's password, and make the user if need be")
    password.add_argument("name")
    users = actions.add_parser("users", help="list who may sign in")
    remove = actions.add_parser("remove", help="let a user sign in no more")
    remove.add_argument("name")
    for action in (password, users, remove):
        add_flags(action, "home")


def run(arguments: Namespace) -> int:
    users = Users(settings_from(arguments).console_path)
    if arguments.action == "users":
        for name in users.names():
            print(name)
    elif arguments.action == "remove":
        users.remove(arguments.name)
        say(f"{arguments.name} signs in no more")
    else:
        users.set_password(arguments.name, _password())
        say(f"{arguments.name} signs in with the new password; whoever was signed in with the old one is signed out")
    return 0


def _password() -> str:
    """Typed twice at a terminal, else the first line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    first = getpass.getpass("new password: ")
    if getpass.getpass("again: ") != first:
        raise FairleadError(Code.INVALID_ARGUMENT, "the two are not the same", hint="try again")
    return first
