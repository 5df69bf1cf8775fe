"""argv -> one of the commands of `recserve_server.cli`; the only reader of argv."""

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `recserve-serve`; returns its exit code."""
    from recserve_server.cli.serve import serve

    return serve(sys.argv[1:] if argv is None else argv)


if __name__ == "__main__":
    sys.exit(main())
