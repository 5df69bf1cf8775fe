"""Writes one framed request for h2load and prints its HTTP/2 path."""

from pathlib import Path

from question import PATH, question
from rival_cli import question_parser, write_frame


def main() -> None:
    """Reads the command line and writes."""
    parser = question_parser(__doc__)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    write_frame(args.out, question(args.user, args.k).SerializeToString())
    print(PATH)


if __name__ == "__main__":
    main()
