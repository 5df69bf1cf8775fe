"""What the command line says of an error."""

from typing import Final

from recserve_client._errors import RecommenderError, UnauthenticatedError, UnavailableError

_HINTS: Final = (
    ("CERTIFICATE_VERIFY_FAILED", "--ca says whom to trust"),
    ("Hostname Verification", "--server-name says which name its certificate has"),
    ("WRONG_VERSION_NUMBER", "it seems to speak plain text, without --tls and --ca"),
    ("Socket closed", "does it want TLS (--tls, --ca), or a certificate (--cert)?"),
    ("Connection reset", "does it want TLS (--tls, --ca), or a certificate (--cert)?"),
)
"""What may help, by what OpenSSL and gRPC say of a connection that was not made."""
_WHO_CALLS: Final = "--token-file, $RECSERVE_TOKEN or --cert say who calls"


def described(error: RecommenderError, target: str) -> str:
    """Says in one line what went wrong, and what to do if the server told."""
    # Without a reason the answer is not the server's: nobody was reached.
    if isinstance(error, UnavailableError) and not error.reason:
        # Without these words there was a connection, which ended later.
        why = str(error).partition("last error: ")[2]
        hints = [hint for text, hint in _HINTS if text in why]
        return "; ".join([f"cannot reach {target}: {error}", *hints[:1]])
    request = f" (request id {error.request_id})" if error.request_id else ""
    wait = f"; try again in {error.retry_after_s:g} s" if error.retry_after_s else ""
    who = f"; {_WHO_CALLS}" if isinstance(error, UnauthenticatedError) else ""
    return f"{error}{wait}{who}{request}"
