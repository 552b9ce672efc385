"""The module for JavaScript (`examples/clients/fairlead.mjs`) in Node.js; in a browser it is in the page's own test."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from playwright._impl._driver import compute_driver_executable
from tests.cli.conftest import Server
from tests.clients.cutting import Cutting

CLIENTS = Path(__file__).parents[2] / "examples" / "clients"
NODE = compute_driver_executable()[0]
IMAGE = '{ image: { datatype: "FP32", shape: [100, 28, 28, 1], data: new Float32Array(78400) } }'


def node(program: str) -> Any:
    """What the program gives, which is the body of an asynchronous function and has `Client` and `show` of an error."""
    imported = 'import { Client } from "./fairlead.mjs";\n'
    shown = "const show = ({ code, message, hint }) => ({ code, message, hint });\n"
    whole = f"{imported}{shown}console.log(JSON.stringify(await (async () => {{ {program} }})()));"
    done = subprocess.run(
        [NODE, "--input-type=module", "-"],
        input=whole,
        cwd=CLIENTS,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_tensors_of_every_kind_come_back_as_they_went(server: Server) -> None:
    """As arrays of their datatype's own kind; half precision, which few engines have, as its bytes."""
    found = node(f"""
        const client = new Client("http://127.0.0.1:{server.port}/");
        const made = {{
          BOOL: [Uint8Array, [1, 0, 0, 1]], INT8: [Int8Array, [-128, 127, 0, 1]], UINT8: [Uint8Array, [0, 255, 1, 2]],
          INT16: [Int16Array, [-32768, 5, 0, 1]], UINT16: [Uint16Array, [0, 65535, 1, 2]],
          INT32: [Int32Array, [-(2 ** 31), 7, 0, 1]], UINT32: [Uint32Array, [2 ** 32 - 1, 7, 0, 1]],
          INT64: [BigInt64Array, [-(2n ** 63n), 2n ** 63n - 1n, 0n, 1n]],
          UINT64: [BigUint64Array, [2n ** 64n - 1n, 7n, 0n, 1n]],
          FP32: [Float32Array, [0.5, -1e30, 0, 1]], FP64: [Float64Array, [0.1, 1e300, 0, 1]],
          FP16: [Uint16Array, [0x3c00, 0xc000, 0, 1]],
        }};
        const names = {{ BOOL: "bool", BYTES: "string", FP16: "float16", FP32: "float32", FP64: "float64" }};
        const tensors = {{ x_string: {{ datatype: "BYTES", shape: [2, 2], data: ["", "naïve ✓", "\\u0000", "🙂"] }} }};
        for (const [datatype, [kind, values]] of Object.entries(made)) {{
          const name = names[datatype] ?? datatype.toLowerCase();
          tensors[`x_${{name}}`] = {{ datatype, shape: [2, 2], data: kind.from(values) }};
        }}
        const {{ model, version, id, outputs }} = await client.infer("kinds", tensors);
        const changed = Object.entries(tensors).filter(([name, {{ datatype, data }}]) => {{
          const output = outputs[name.replace("x_", "y_")];
          const want = datatype === "FP16" ? new Uint8Array(data.buffer) : data;
          return output.datatype !== datatype || output.data.constructor !== want.constructor
            || output.data.join() !== want.join();
        }});
        return {{ model, version, hasId: id.length > 30, count: Object.keys(outputs).length, changed }};
    """)

    assert found == {"model": "kinds", "version": 1, "hasId": True, "count": 13, "changed": []}


def test_versions_labels_and_errors(server: Server) -> None:
    """As in the other clients."""
    found = node(f"""
        const client = new Client("http://127.0.0.1:{server.port}");
        const versions = [];
        for (const which of [{{}}, {{ version: 1 }}, {{ label: "previous" }}]) {{
          versions.push((await client.infer("digits", {IMAGE}, which)).version);
          versions.push((await client.predict("digits", {{ instances: [] }}, which).catch(({{ code }}) => code)));
        }}
        const unknown = await client.infer("nope", {IMAGE}).catch(show);
        const slow = {{ turns: {{ datatype: "INT64", shape: [1], data: BigInt64Array.of(1500n) }} }};
        const late = await client.infer("slow", slow, {{ deadlineMs: 100 }}).catch(({{ code }}) => code);
        return {{ versions, unknown, late }};
    """)

    assert found["versions"] == [2, "INVALID_ARGUMENT", 1, "INVALID_ARGUMENT", 1, "INVALID_ARGUMENT"]
    assert found["unknown"]["code"] == "NOT_FOUND"
    assert "'nope' is not found" in found["unknown"]["message"]
    assert found["unknown"]["hint"] == "POST /v2/repository/index lists the models"
    assert found["late"] == "DEADLINE_EXCEEDED"


def test_an_answer_that_is_cut_is_asked_for_again(server: Server) -> None:
    """As often as `retries` says."""
    with Cutting(server.port, cuts=3) as way:
        found = node(f"""
            const url = "http://127.0.0.1:{way.port}";
            const data = Float32Array.from({{ length: 1000 }}, Math.random); // which cannot be compressed
            const tensors = {{ x: {{ datatype: "FP32", shape: [1000], data }} }};
            const error = await new Client(url, {{ retries: 0 }}).infer("half_plus_two", tensors).catch(show);
            const {{ outputs }} = await new Client(url).infer("half_plus_two", tensors);
            return [error.code, outputs.y.data.length];
        """)

        assert (found, way.cuts) == (["UNAVAILABLE", 1000], 0)
