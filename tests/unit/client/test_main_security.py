"""The command line and secured servers: TLS, client certificates, tokens, and what goes wrong."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pem import Pem

from recserve_client.__main__ import main
from recserve_client.testing import FakeServer

TOKEN = "s3cret-0123456789abcdef"
ASK = ("models", "--timeout", "30")

Refused = Callable[..., str]


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Pem:
    return Pem(tmp_path_factory.mktemp("pem"))


@pytest.fixture
def token_file(tmp_path: Path) -> str:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    return str(file)


@pytest.fixture
def secured(pem: Pem, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """A server with TLS, for callers with a token."""
    with FakeServer(tls=pem.server_tls("127.0.0.1"), required_token=TOKEN) as server:
        monkeypatch.setenv("RECSERVE_TARGET", server.target)
        yield server


@pytest.fixture
def asking(pem: Pem, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """A server of another name than its address, for clients with a certificate."""
    tls = pem.server_tls("films.example.org", asks_for_certificates=True)
    with FakeServer(tls=tls) as server:
        monkeypatch.setenv("RECSERVE_TARGET", server.target)
        yield server


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """A server in plain text, for callers with a token."""
    with FakeServer(required_token=TOKEN) as server:
        monkeypatch.setenv("RECSERVE_TARGET", server.target)
        yield server


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    """Runs a command that fails; returns the one line that it says."""

    def run(*argv: str | Path) -> str:
        assert main([*map(str, argv)]) == 1
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.count("\n") == 1
        return captured.err.rstrip()

    return run


@pytest.mark.parametrize(
    "command",
    [
        ("recommend", "--user", "42"),
        ("recommend", "--user", "42", "--user", "7"),
        ("similar", "1"),
        ("rank", "--user", "42", "1", "2"),
        ("events", "--user", "42", "--item", "1", "--type", "click"),
        ("models",),
        ("health",),
    ],
    ids=lambda command: "-".join(command[:1] + command[3:4]),
)
def test_every_command_reaches_a_secured_server(
    secured: FakeServer, pem: Pem, token_file: str, command: tuple[str, ...]
) -> None:
    flags = ("--ca", str(pem.ca), "--token-file", token_file, "--timeout", "30")
    assert main([*command, *flags]) == 0


def test_a_token_may_come_from_the_environment_but_a_file_comes_first(
    secured: FakeServer, pem: Pem, token_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECSERVE_TOKEN", TOKEN)
    assert main([*ASK, "--ca", str(pem.ca)]) == 0

    monkeypatch.setenv("RECSERVE_TOKEN", "another-0123456789")
    assert main([*ASK, "--ca", str(pem.ca), "--token-file", token_file]) == 0


def test_the_authorities_of_the_system_are_trusted_if_no_others_are_named(
    secured: FakeServer, pem: Pem, token_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(pem.ca))  # where OpenSSL looks for them

    assert main([*ASK, "--tls", "--token-file", token_file]) == 0


def test_a_server_that_asks_for_certificates_gets_the_clients_own(
    asking: FakeServer, pem: Pem
) -> None:
    certificate, key = pem.own()
    flags = ("--ca", pem.ca, "--server-name", "films.example.org")
    assert main([*map(str, (*ASK, *flags, "--cert", certificate, "--key", key))]) == 0


def test_a_token_is_sent_in_plain_text_only_if_that_is_allowed(
    plain: FakeServer, token_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*ASK, "--token-file", token_file])
    assert caught.value.code == 2
    assert "the token would be sent in plain text, must be with" in capsys.readouterr().err
    assert plain.calls == ()

    assert main([*ASK, "--token-file", token_file, "--token-in-plain-text"]) == 0


def test_a_token_is_no_argument(secured: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    for argv in (["--token", TOKEN], [f"--token={TOKEN}"]):
        with pytest.raises(SystemExit) as caught:
            main([*ASK, *argv])
        assert caught.value.code == 2


def test_one_of_certificate_and_key_is_wrong_usage(
    secured: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    for flag in ("--cert", "--key"):
        with pytest.raises(SystemExit) as caught:
            main([*ASK, flag, "own.pem"])
        assert caught.value.code == 2
        assert "one of --cert and --key is given, must be both" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("token", "told"),
    [
        ("", "the call has no bearer token"),
        ("another-0123456789", "the authorization is not known here"),
    ],
)
def test_who_is_not_let_in_is_told_what_says_who_calls(
    secured: FakeServer,
    pem: Pem,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
    token: str,
    told: str,
) -> None:
    monkeypatch.setenv("RECSERVE_TOKEN", token)

    line = refused(*ASK, "--ca", pem.ca)

    who = "--token-file, $RECSERVE_TOKEN or --cert say who calls"
    assert line.startswith(f"recserve: {told}; {who} (request id ")


@pytest.mark.parametrize("flag", ["--ca", "--token-file"])
def test_a_file_that_is_not_there_is_one_line(refused: Refused, flag: str) -> None:
    line = refused(*ASK, flag, "/no/file")

    assert line == "recserve: cannot read /no/file: No such file or directory"


@pytest.mark.parametrize("content", [b"", b"two words", b"\xff\xfe\x00t", b"a\nb"])
def test_a_file_without_a_token_is_one_line(
    refused: Refused, tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)

    line = refused(*ASK, "--tls", "--token-file", file)

    told = "a bearer token must be printable ASCII without spaces, and not empty"
    assert line == f"recserve: cannot send what is in {file}: {told}"


@pytest.mark.parametrize("content", [b"", b"rubbish"])
def test_authorities_that_are_none_are_one_line(
    refused: Refused, tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes(content)

    assert refused(*ASK, "--ca", file) == f"recserve: {file} is not PEM of certificates"


def test_authorities_may_have_names_beside_them(
    secured: FakeServer, pem: Pem, token_file: str
) -> None:
    file = pem.write("named.pem", "Főtanúsítvány\n".encode() + pem.ca.read_bytes())

    assert main([*ASK, "--ca", str(file), "--token-file", token_file]) == 0


def test_a_key_of_another_certificate_is_one_line(refused: Refused, pem: Pem) -> None:
    certificate, _ = pem.own()
    _, other = pem.own("other")

    line = refused(*ASK, "--cert", certificate, "--key", other)

    assert line == f"recserve: the key in {other} is not that of the certificate in {certificate}"


def test_a_pair_that_is_none_is_one_line(refused: Refused, pem: Pem) -> None:
    certificate, key = pem.own()
    for pair in ((key, key), (certificate, certificate), (certificate, pem.locked(key))):
        line = refused(*ASK, "--cert", pair[0], "--key", pair[1])

        told = "are no PEM of a certificate and of its key without a password"
        assert line == f"recserve: {pair[0]} and {pair[1]} {told}"


def test_a_server_that_is_not_trusted_is_told_with_what_may_help(
    secured: FakeServer, refused: Refused, tmp_path: Path
) -> None:
    line = refused(*ASK, "--ca", Pem(tmp_path).ca)

    assert line.startswith(f"recserve: cannot reach {secured.target}: ")
    assert line.endswith("; --ca says whom to trust")


def test_a_server_of_another_name_is_told_with_what_may_help(
    asking: FakeServer, pem: Pem, refused: Refused
) -> None:
    line = refused(*ASK, "--ca", pem.ca)

    assert line.endswith("; --server-name says which name its certificate has")


def test_a_server_without_tls_is_told_with_what_may_help(
    plain: FakeServer, pem: Pem, refused: Refused
) -> None:
    line = refused(*ASK, "--ca", pem.ca)

    assert line.endswith("; it seems to speak plain text, without --tls and --ca")


@pytest.mark.parametrize("is_trusted", [False, True], ids=["plain text", "no certificate"])
def test_a_server_that_hangs_up_is_told_with_what_may_help(
    asking: FakeServer, pem: Pem, refused: Refused, is_trusted: bool
) -> None:
    flags = ("--ca", pem.ca, "--server-name", "films.example.org") if is_trusted else ()

    line = refused(*ASK, *flags)

    assert line.endswith("; does it want TLS (--tls, --ca), or a certificate (--cert)?")
