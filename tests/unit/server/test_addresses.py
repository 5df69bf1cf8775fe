import errno
import re
import socket

import pytest

from recserve_server.addresses import settled, try_to_listen, why_not

FAMILIES = {"127.0.0.1": socket.AF_INET, "::1": socket.AF_INET6}


def taken(where: str, port: int = 0) -> socket.socket:
    """Listens on one of the addresses of localhost."""
    try:
        return socket.create_server((where, port), family=FAMILIES[where])
    except OSError as error:
        pytest.skip(f"{where} is not an address of this machine: {error}")


@pytest.mark.parametrize("where", FAMILIES)
def test_a_port_that_is_taken_on_one_of_the_names_addresses_is_in_use(where: str) -> None:
    with taken(where) as listening:
        address = f"localhost:{listening.getsockname()[1]}"

        with pytest.raises(OSError, match="in use") as raised:
            settled(address)

    assert raised.value.errno == errno.EADDRINUSE
    assert why_not(raised.value) == "is the port in use?"
    assert try_to_listen(address) is None  # it was given back


def test_a_port_that_is_chosen_is_free_on_all_addresses() -> None:
    host, _, port = settled("localhost:0").rpartition(":")

    assert (host, int(port) > 0) == ("localhost", True)
    for where in FAMILIES:
        taken(where, int(port)).close()


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:0", "0.0.0.0:0"])
def test_the_port_of_a_single_address_is_left_to_grpc(address: str) -> None:
    assert settled(address) == address


def test_an_address_that_is_missing_is_no_matter_beside_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("recserve_server.addresses._LOOPBACK", ("127.0.0.1", "203.0.113.1"))

    assert settled("localhost:0").startswith("localhost:")


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("203.0.113.1:0", "Cannot assign requested address"),
        ("no.such.host.invalid:1", "not known|name resolution"),  # the latter without a network
    ],
)
def test_why_an_address_cannot_be_listened_on_is_told(address: str, told: str) -> None:
    with pytest.raises(OSError, match=told) as raised:
        settled(address)

    assert re.search(told, why_not(raised.value))
