"""Addresses to listen on."""

import errno
import socket
from collections.abc import Iterator

from recserve_server.addresses import try_to_listen
from recserve_server.cli.doctor.finding import Finding
from recserve_server.config import ServerConfig


def look_at_network(config: ServerConfig) -> Iterator[Finding]:
    """Listens for a moment where a server would."""
    yield _look_at_address("address", config.address)
    if config.admin_address:
        yield _look_at_address("admin address", config.admin_address)
    seen = "there" if _has_ipv6() else "not there, IPv4 alone is used"
    yield Finding.ok("ipv6", seen)


def _look_at_address(what: str, address: str) -> Finding:
    host = address.rpartition(":")[0]
    flag = f"--{what.replace(' ', '-')}"
    error = try_to_listen(address)
    if isinstance(error, socket.gaierror):
        reason = f"{host} cannot be resolved: {error.strerror}"
        return Finding.fail(what, reason, f"{flag} takes an address of this machine")
    if error is not None:
        return Finding.fail(what, f"{address}: {error.strerror}", _advice(error, flag))
    return Finding.ok(what, f"{address} is free")


def _advice(error: OSError, flag: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"is a server running already? else {flag} chooses another"
    if error.errno == errno.EACCES:
        return "ports below 1024 are for root"
    return f"{flag} takes an address of this machine"


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as trying:
            trying.bind(("::1", 0))
    except OSError:
        return False
    return True
