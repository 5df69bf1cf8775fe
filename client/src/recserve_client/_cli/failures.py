"""What the command line says of an error."""

from recserve_client._errors import RecommenderError, UnavailableError


def described(error: RecommenderError, target: str) -> str:
    """Says in one line what went wrong, and what to do if the server told."""
    # Without a reason the answer is not the server's: nobody was reached.
    if isinstance(error, UnavailableError) and not error.reason:
        return f"cannot reach {target}: {error}"
    request = f" (request id {error.request_id})" if error.request_id else ""
    wait = f"; try again in {error.retry_after_s:g} s" if error.retry_after_s else ""
    return f"{error}{wait}{request}"
