"""MLServer's custom runtime: V2 over REST and gRPC. Decoded with its numpy codec, run inline on its event loop."""

from __future__ import annotations

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

from benchmarks.peers.classifier import Classifier


class Runtime(MLModel):  # type: ignore[misc]  # the library is in the peer's own environment
    """One model."""

    async def load(self) -> bool:
        """Open the session."""
        self._classify = Classifier()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """One request."""
        probs = self._classify(NumpyCodec.decode_input(payload.inputs[0]))
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("probs", probs)])
