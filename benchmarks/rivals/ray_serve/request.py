"""Writes one framed request for h2load and prints its HTTP/2 path."""

from pathlib import Path

from rival_cli import question_parser, write_frame

from recserve.v1.recommendation_service_pb2 import RecommendRequest


def main() -> None:
    """Reads the command line and writes."""
    parser = question_parser(__doc__)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    write_frame(args.out, RecommendRequest(user_id=args.user, k=args.k).SerializeToString())
    print("/recserve.v1.RecommendationService/Recommend")


if __name__ == "__main__":
    main()
