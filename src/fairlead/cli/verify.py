"""`fairlead verify`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from fairlead.app.releases import open_store
from fairlead.cli.output import settings_from
from fairlead.config import add_flags
from fairlead.servable.identity import parse_id
from fairlead.servable.pyfunc.layout import PYFUNC_RUNTIME
from fairlead.store.contents import check_contents

__all__ = ["EXAMPLE", "configure", "run"]

EXAMPLE = """example:
  fairlead verify digits@3                                    # every byte, and that no file holds code
  fairlead verify digits@3 --trusted-keys ~/keys/models.pub   # and that it is signed with this key

Of a graph the versions that it is made of are checked too."""


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("version", metavar="MODEL@VERSION")
    add_flags(parser, "home", "store", "trusted_keys")


def run(arguments: Namespace) -> int:
    id_, settings = parse_id(arguments.version), settings_from(arguments)
    store = open_store(settings)
    signed = ", and signed with a trusted key" if settings.trusted_keys else ""
    for one in (id_, *store.manifest(id_).members):
        version = store.open(one)
        check_contents(version.directory, may_be_code=version.manifest.runtime == PYFUNC_RUNTIME)
        print(f"{one}: {len(version.manifest.files)} files, every byte as published{signed}")
    return 0
