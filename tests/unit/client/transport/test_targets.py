import pytest

from recserve_client._transport.targets import parse_target


@pytest.mark.parametrize(
    ("target", "name", "is_replicated"),
    [
        ("localhost:8500", "localhost:8500", False),
        ("[::1]:8500", "[::1]:8500", False),
        ("unix:/tmp/recserve.sock", "unix:/tmp/recserve.sock", False),
        ("unix:/tmp/recserve:85000", "unix:/tmp/recserve:85000", False),
        ("dns:///recserve:8500", "dns:///recserve:8500", True),
        (["localhost:8500"], "localhost:8500", False),
        ("10.0.0.1:1,10.0.0.2:2", "ipv4:10.0.0.1:1,10.0.0.2:2", True),
        (["10.0.0.1:1", "10.0.0.2:2"], "ipv4:10.0.0.1:1,10.0.0.2:2", True),
        (("[::1]:1", "[::2]:2"), "ipv6:[::1]:1,[::2]:2", True),
        ("ipv4:10.0.0.1:1,10.0.0.2:2", "ipv4:10.0.0.1:1,10.0.0.2:2", True),
    ],
)
def test_a_target_is_read_as_grpc_resolves_it(target, name, is_replicated) -> None:
    assert parse_target(target) == (name, is_replicated)


@pytest.mark.parametrize(
    "target",
    [
        "",
        "  ",
        "local host:8500",
        "http://localhost:8500",
        "https://x",
        "localhost:85000",
        "dns:///recserve:85000",
        None,
        8500,
        [],
    ],
)
def test_other_targets_are_refused_with_what_is_allowed(target) -> None:
    with pytest.raises(ValueError, match="host:port"):
        parse_target(target)


@pytest.mark.parametrize(
    "targets",
    [
        "recserve-1:8500,recserve-2:8500",
        ["10.0.0.1:8500", "10.0.0.2"],
        ["10.0.0.1:1", "::1:2"],
        ["10.0.0.1:8500", "10.0.0.2:85000"],
    ],
)
def test_several_targets_must_be_addresses(targets) -> None:
    with pytest.raises(ValueError, match="must be an IP address and port"):
        parse_target(targets)


def test_addresses_of_two_families_are_refused() -> None:
    with pytest.raises(ValueError, match="all be IPv4 or all be IPv6"):
        parse_target(["10.0.0.1:8500", "[::1]:8500"])
