"""One question in Triton's protocol, KServe v2, with raw tensor contents."""

import struct

from tritonclient.grpc.service_pb2 import ModelInferRequest

PATH = "/inference.GRPCInferenceService/ModelInfer"


def question(user_id: str, k: int) -> ModelInferRequest:
    """Returns the request for the `k` best items of a user."""
    tensors = [
        ModelInferRequest.InferInputTensor(name="USER_ID", datatype="BYTES", shape=[1, 1]),
        ModelInferRequest.InferInputTensor(name="K", datatype="INT32", shape=[1, 1]),
    ]
    text = user_id.encode()
    return ModelInferRequest(
        model_name="recommend",
        inputs=tensors,
        raw_input_contents=[struct.pack("<I", len(text)) + text, struct.pack("<i", k)],
    )
