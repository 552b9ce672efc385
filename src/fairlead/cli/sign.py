"""`fairlead sign`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from fairlead.app.releases import open_writable_store
from fairlead.cli.output import settings_from
from fairlead.config import add_flags
from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import parse_id
from fairlead.store.signing import SigningKey

__all__ = ["EXAMPLE", "configure", "run"]

EXAMPLE = """example:
  fairlead sign digits@3 --key ~/keys/models.pem
  openssl ecparam -name prime256v1 -genkey -noout -out models.pem && chmod 600 models.pem    # makes a key
  openssl ec -in models.pem -pubout -out models.pub                                          # for those who check

With FAIRLEAD_SIGNING_KEY everything that is published is signed at once."""


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("version", metavar="MODEL@VERSION")
    parser.add_argument("--key", type=Path, help="a private key in PEM (EC P-256); default: FAIRLEAD_SIGNING_KEY")
    add_flags(parser, "home", "store")


def run(arguments: Namespace) -> int:
    id_, settings = parse_id(arguments.version), settings_from(arguments)
    key = arguments.key or settings.signing_key
    if key is None:
        raise FairleadError(
            Code.INVALID_ARGUMENT, "there is no key to sign with", hint=f"fairlead sign {id_} --key FILE"
        )
    open_writable_store(settings).sign(id_, SigningKey(key))
    print(f"signed {id_}")
    return 0
