"""argv -> one of the commands of `recserve_server.cli`; the only reader of argv."""

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `recserve-serve`; returns its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    # Each imports what it needs: `admin` has no use for gRPC.
    if arguments[:1] == ["admin"]:
        from recserve_server.cli.admin import admin

        return admin(arguments[1:])
    if arguments[:1] == ["doctor"]:
        from recserve_server.cli.doctor import doctor

        return doctor(arguments[1:])
    from recserve_server.cli.serve import serve

    return serve(arguments)


if __name__ == "__main__":
    sys.exit(main())
