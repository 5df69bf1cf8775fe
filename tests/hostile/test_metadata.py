"""Headers and metadata that are too long, too many, or senseless."""

import pytest
from raw_http2 import RawConnection
from server_process import ServerProcess

pytestmark = pytest.mark.usefixtures("unharmed")
OK, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL = 0, 4, 8, 12, 13
KIB = 1024


@pytest.mark.parametrize("size", [20 * KIB, 100 * KIB, 1000 * KIB])
def test_long_metadata_is_refused(attacked: ServerProcess, size: int) -> None:
    with RawConnection(attacked.address) as connection:
        assert connection.ask(("x-long", "y" * size)).grpc_status == RESOURCE_EXHAUSTED
        assert connection.ask().grpc_status == OK


@pytest.mark.long
def test_metadata_above_the_soft_limit_is_refused_more_or_less_often(
    attacked: ServerProcess,
) -> None:
    with RawConnection(attacked.address) as connection:
        found = {connection.ask(("x-long", "y" * 12 * KIB)).grpc_status for _ in range(10)}

    assert RESOURCE_EXHAUSTED in found
    assert found <= {OK, RESOURCE_EXHAUSTED}


def test_many_metadata_are_refused(attacked: ServerProcess) -> None:
    many = [(f"x-{number}", "v") for number in range(2000)]
    with RawConnection(attacked.address) as connection:
        assert connection.ask(*many).grpc_status == RESOURCE_EXHAUSTED
        assert connection.ask().grpc_status == OK


@pytest.mark.parametrize("value", ["!!!!", "x1x1x", "AAAA,BBBB", "\xff\xfe", "A\0B", "\r\n"])
def test_binary_metadata_that_is_no_base64_is_refused(attacked: ServerProcess, value: str) -> None:
    with RawConnection(attacked.address) as connection:
        answer = connection.ask(("x-any-bin", value))

    assert answer.grpc_status == INTERNAL
    assert value not in answer.headers["grpc-message"]


@pytest.mark.parametrize("timeout", ["", "x", "-1S", "1", "S", "1.5S", "1X", "\xff"])
def test_a_timeout_that_makes_no_sense_is_refused(attacked: ServerProcess, timeout: str) -> None:
    with RawConnection(attacked.address) as connection:
        assert connection.ask(("grpc-timeout", timeout)).grpc_status == INTERNAL


@pytest.mark.parametrize("timeout", ["0S", "0n"])
def test_a_timeout_of_nothing_has_passed_already(attacked: ServerProcess, timeout: str) -> None:
    with RawConnection(attacked.address) as connection:
        assert connection.ask(("grpc-timeout", timeout)).grpc_status == DEADLINE_EXCEEDED


@pytest.mark.parametrize("timeout", ["99999999H", "100000000S", "9" * 100 + "S"])
def test_a_timeout_of_ages_is_none(attacked: ServerProcess, timeout: str) -> None:
    with RawConnection(attacked.address) as connection:
        assert connection.ask(("grpc-timeout", timeout)).grpc_status == OK


@pytest.mark.parametrize("kind", ["application/json", "text/html", "", "application/grpc+json"])
def test_another_content_type_is_read_as_grpc(attacked: ServerProcess, kind: str) -> None:
    with RawConnection(attacked.address) as connection:
        assert connection.ask(content_type=kind).item_ids()


@pytest.mark.parametrize(
    "path", ["", "/", "*", "/x/y", "/recserve.v1.RecommendationService/", "/\xff", "/x" * 2500]
)
def test_an_unknown_path_is_unimplemented(attacked: ServerProcess, path: str) -> None:
    with RawConnection(attacked.address) as connection:
        assert connection.ask(path=path).grpc_status == UNIMPLEMENTED


@pytest.mark.parametrize("method", ["GET", "PUT", "OPTIONS", ""])
def test_another_method_is_no_call(attacked: ServerProcess, method: str) -> None:
    with RawConnection(attacked.address) as connection:
        assert connection.ask(method=method).grpc_status in {INTERNAL, None}


@pytest.mark.parametrize(
    "header", [("X-Upper", "1"), (":bogus", "1"), ("x y", "1"), ("", "1"), ("te", "gzip")]
)
def test_a_header_that_may_not_be_is_refused(
    attacked: ServerProcess, header: tuple[str, str]
) -> None:
    with RawConnection(attacked.address) as connection:
        assert connection.ask(header).grpc_status == INTERNAL
        assert connection.ask().grpc_status == OK


@pytest.mark.parametrize("sent", ["\xff", "a\nb", "a\r\nlevel: forged", "x" * 65, "\0", '"}'])
def test_a_request_id_that_could_forge_a_log_is_replaced(
    attacked: ServerProcess, sent: str
) -> None:
    with RawConnection(attacked.address) as connection:
        answer = connection.ask(("x-request-id", sent), body=b"\0\0\0\0\0")

    returned = answer.headers["x-request-id"]
    assert returned.isascii()
    assert returned.isalnum()
    assert sent not in attacked.log.read_text(encoding="utf-8").splitlines()[-1]
