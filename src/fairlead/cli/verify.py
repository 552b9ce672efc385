"""`fairlead verify`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from fairlead.app.releases import open_store
from fairlead.cli.output import settings_from
from fairlead.config import add_flags
from fairlead.servable.identity import parse_id
from fairlead.store.contents import check_contents

__all__ = ["EXAMPLE", "configure", "run"]

EXAMPLE = """example:
  fairlead verify digits@3                                    # every byte, and that no file holds code
  fairlead verify digits@3 --trusted-keys ~/keys/models.pub   # and that it is signed with this key"""


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("version", metavar="MODEL@VERSION")
    add_flags(parser, "home", "store", "trusted_keys")


def run(arguments: Namespace) -> int:
    id_, settings = parse_id(arguments.version), settings_from(arguments)
    version = open_store(settings).open(id_)
    check_contents(version.directory)
    signed = ", and signed with a trusted key" if settings.trusted_keys else ""
    print(f"{id_}: {len(version.manifest.files)} files, every byte as published{signed}")
    return 0
