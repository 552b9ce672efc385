"""KServe's gRPC client against the address in the first argument; says what went well."""

import asyncio
import sys

import grpc
import numpy as np
from kserve import InferInput, InferRequest
from kserve.inference_client import InferenceGRPCClient


async def main(address: str) -> None:
    """Ask everything once."""
    client = InferenceGRPCClient(address, timeout=20)
    assert await client.is_server_live()
    say("live")
    assert await client.is_server_ready()
    say("ready")
    assert await client.is_model_ready("digits")
    say("model-ready")
    for binary_data, name in ((True, "raw"), (False, "typed")):
        tensor = InferInput("image", [1, 28, 28, 1], "FP32")
        tensor.set_data_from_numpy(np.ones((1, 28, 28, 1), np.float32), binary_data=binary_data)
        answer = await client.infer(InferRequest(model_name="digits", infer_inputs=[tensor]))
        np.testing.assert_allclose(answer.outputs[0].as_numpy(), np.full((1, 10), 0.1), rtol=1e-6)
        say(name)
    try:
        await client.is_model_ready("nope")
    except grpc.RpcError as error:
        say(error.code().name)
    await client.close()


def say(word: str) -> None:
    """One word a line."""
    sys.stdout.write(f"{word}\n")


asyncio.run(main(sys.argv[1]))
