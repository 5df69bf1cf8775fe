"""Makes one call and prints the item ids as JSON."""

import json

import grpc
from question import question
from rival_cli import question_parser
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub
from tritonclient.utils import deserialize_bytes_tensor


def main() -> None:
    """Reads the command line and asks."""
    parser = question_parser(__doc__)
    parser.add_argument("--port", type=int, required=True)
    args = parser.parse_args()
    with grpc.insecure_channel(f"127.0.0.1:{args.port}") as channel:
        stub = GRPCInferenceServiceStub(channel)
        answer = stub.ModelInfer(question(args.user, args.k), timeout=30)
    position = [output.name for output in answer.outputs].index("ITEM_ID")
    item_ids = deserialize_bytes_tensor(answer.raw_output_contents[position]).tolist()
    print(json.dumps([item_id.decode() for item_id in item_ids if item_id]))


if __name__ == "__main__":
    main()
