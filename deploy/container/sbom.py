"""The bill of materials of the image that this runs in, as CycloneDX 1.6: Python's distributions and Debian's packages.

docker run --rm -i --entrypoint python3 fairlead:0.1.0 - < deploy/container/sbom.py > sbom.cdx.json
"""

from __future__ import annotations

import json
import re
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

DPKG = Path("/var/lib/dpkg/status")
Component = dict[str, object]


def distributions() -> Iterator[Component]:
    """What Python has."""
    for found in metadata.distributions():
        name, version = found.metadata["Name"], found.version
        purl = f"pkg:pypi/{re.sub(r'[-_.]+', '-', name).lower()}@{version}"
        component: Component = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
        said = found.metadata.get_all("License-Expression")
        yield component | ({"licenses": [{"expression": said[0]}]} if said else {})


def packages(status: str) -> Iterator[Component]:
    """What Debian has, by dpkg's own list."""
    for paragraph in status.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Version|Architecture|Status): (.*)$", paragraph, re.MULTILINE))
        if fields.get("Status") == "install ok installed":
            name, version, architecture = (fields[field] for field in ("Package", "Version", "Architecture"))
            purl = f"pkg:deb/debian/{name}@{version}?arch={architecture}"
            yield {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def main() -> None:
    """Write it."""
    found = [*distributions(), *(packages(DPKG.read_text()) if DPKG.exists() else ())]
    by_ref = {str(component["bom-ref"]): component for component in found}
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid4()}",
        "version": 1,
        "metadata": {"timestamp": datetime.now(UTC).isoformat(timespec="seconds")},
        "components": [by_ref[ref] for ref in sorted(by_ref)],
    }
    json.dump(bill, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
