"""Makes one call and prints the item ids as JSON."""

import json

import grpc
from rival_cli import question_parser

from recserve.v1.recommendation_service_pb2 import RecommendRequest
from recserve.v1.recommendation_service_pb2_grpc import RecommendationServiceStub


def main() -> None:
    """Reads the command line and asks."""
    parser = question_parser(__doc__)
    parser.add_argument("--port", type=int, required=True)
    args = parser.parse_args()
    with grpc.insecure_channel(f"127.0.0.1:{args.port}") as channel:
        stub = RecommendationServiceStub(channel)
        answer = stub.Recommend(RecommendRequest(user_id=args.user, k=args.k), timeout=30)
    print(json.dumps([item.item_id for item in answer.items]))


if __name__ == "__main__":
    main()
