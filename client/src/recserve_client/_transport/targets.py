"""Where a server is: what users write to what gRPC resolves; pure."""

import ipaddress
from collections.abc import Sequence
from typing import Final, NamedTuple

_LARGEST_PORT: Final = 65_535
_ALLOWED: Final = 'must be "host:port" or a gRPC name such as "dns:///host:port" or "unix:/path"'


class Target(NamedTuple):
    """Where a server is."""

    name: str
    """As gRPC resolves it: "host:port", "dns:///host:port", "ipv4:10.0.0.1:8500,10.0.0.2:8500"."""
    is_replicated: bool
    """Whether several servers are meant: several addresses, or a name that says how it is
    resolved."""


def parse_target(target: object) -> Target:
    """Reads one target, or a sequence of addresses of replicas.

    Raises:
        ValueError: it cannot name a server.
    """
    if isinstance(target, str):
        return _single(target)
    if not isinstance(target, Sequence) or not target:
        raise ValueError(f"target is {target!r}, {_ALLOWED}, or a sequence of addresses")
    if len(target) == 1:
        return _single(target[0])
    return _addresses(target)


def _single(target: object) -> Target:
    if not isinstance(target, str) or not target.strip():
        raise ValueError(f"target is {target!r}, {_ALLOWED}")
    if target.split() != [target] or target.startswith(("http://", "https://")):
        raise ValueError(f"target is {target!r}, {_ALLOWED}")
    if "," in target and not target.startswith(("ipv4:", "ipv6:", "unix:")):
        return _addresses(target.split(","))
    # gRPC takes a larger port for what is left of it after division by 65536.
    port = target.rpartition(":")[2]
    if port.isdecimal() and int(port) > _LARGEST_PORT and not target.startswith(("unix", "vsock:")):
        raise ValueError(f"target is {target!r}, {_ALLOWED}, with a port up to {_LARGEST_PORT}")
    return Target(target, is_replicated=target.startswith(("dns:", "ipv4:", "ipv6:", "xds:")))


def _addresses(addresses: Sequence[object]) -> Target:
    versions = {_ip_version(address) for address in addresses}
    if len(versions) > 1:
        raise ValueError(f"targets are {addresses!r}, must all be IPv4 or all be IPv6 addresses")
    return Target(f"ipv{versions.pop()}:{','.join(map(str, addresses))}", is_replicated=True)


def _ip_version(address: object) -> int:
    # A name could only be looked up once here, and would be wrong after the first replica moved.
    host, _, port = str(address).rpartition(":")
    try:
        found = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        found = None
    is_port = port.isdecimal() and int(port) <= _LARGEST_PORT
    if found is None or not is_port or (found.version == 6 and not host.startswith("[")):
        raise ValueError(
            f"one of several targets is {address!r}, must be an IP address and port such as "
            '"10.0.0.1:8500" or "[::1]:8500"; a name that stands for several servers is given '
            'alone, as "dns:///name:port"'
        )
    return found.version
