"""What the quickstart and the cookbook show runs as it is shown, against the fake server.

The quickstart is one program; in the cookbook each section is one, after the preamble. What a
`print(...)  # text` promises is printed, in that order.
"""

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
import trustme

from recserve_client import RecommenderClient
from recserve_client.testing import FakeServer, ServerTls

DOCS = Path(__file__).parents[2] / "docs"
OPTIONAL = ("opentelemetry", "pandas")


def blocks(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)


def sections(text: str) -> dict[str, list[str]]:
    parts = re.split(r"^## ", text, flags=re.M)
    preamble = blocks(parts.pop(0))
    found = {title: blocks(body) for title, _, body in (part.partition("\n") for part in parts)}
    return {title: preamble + own for title, own in found.items() if own}


QUICKSTART_TEXT = (DOCS / "quickstart.md").read_text("utf-8")
COOKBOOK_TEXT = (DOCS / "cookbook.md").read_text("utf-8")
QUICKSTART = blocks(QUICKSTART_TEXT)
COOKBOOK = sections(COOKBOOK_TEXT)
TESTING = "Testing with the fake server"


def slow(server: FakeServer) -> None:
    server.delay_s = 0.3


# What befalls the server before the n-th block of a recipe, the preamble being block 0.
EVENTS: Mapping[tuple[str, int], Callable[[FakeServer], None]] = {
    ("Retries, and waiting when overloaded", 1): lambda server: server.fail("UNAVAILABLE", times=2),
    ("Retries, and waiting when overloaded", 2): lambda server: server.overload(times=1),
    ("Retries, and waiting when overloaded", 3): lambda server: server.overload(times=2),
    ("Hedging slow calls", 1): slow,
    ("Cancelling", 1): FakeServer.pause,
    ("Falling back", 2): FakeServer.stop,
}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def secured(authority: trustme.CA, tmp_path: Path) -> Callable[[str], FakeServer]:
    """Makes the server of recserve.example.com, and the files that its callers have."""
    certificate, client = authority.issue_cert("localhost"), authority.issue_cert("shop")
    roots = authority.cert_pem.bytes()
    (tmp_path / "roots.pem").write_bytes(roots)
    (tmp_path / "client.pem").write_bytes(client.cert_chain_pems[0].bytes())
    (tmp_path / "client.key").write_bytes(client.private_key_pem.bytes())
    (tmp_path / "token").write_text("sesame\n")

    def make(title: str) -> FakeServer:
        tls = ServerTls(
            certificate_chain=certificate.cert_chain_pems[0].bytes(),
            private_key=certificate.private_key_pem.bytes(),
            client_roots=roots if "certificates" in title else None,
        )
        return FakeServer(tls=tls, required_token="sesame" if "Tokens" in title else None)

    return make


@pytest.fixture
def run(
    secured: Callable[[str], FakeServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str, list[str]], None]]:
    monkeypatch.chdir(tmp_path)
    with ExitStack() as stack:
        server, other = (stack.enter_context(FakeServer()) for _ in range(2))
        other.model.version = 2
        addresses = {
            "dns:///recserve.internal:8500": f"dns:///{server.target}",
            "10.0.0.1:8500": server.target,
            "10.0.0.2:8500": other.target,
            "localhost:8500": server.target,
            "localhost:8501": other.target,
        }

        def run(title: str, program: list[str]) -> None:
            names: dict[str, object] = {}
            stack.callback(close_all, names)
            if any("recserve.example.com:8443" in block for block in program):
                port = stack.enter_context(secured(title)).port
                addresses["recserve.example.com:8443"] = f"localhost:{port}"
            for number, block in enumerate(program):
                if (title, number) in EVENTS:
                    EVENTS[title, number](server)
                exec(resolved(block, addresses), names)

        yield run


def resolved(block: str, addresses: Mapping[str, str]) -> str:
    for written, real in addresses.items():
        block = block.replace(written, real)
    return block


def close_all(names: Mapping[str, object]) -> None:
    for value in names.values():
        if isinstance(value, RecommenderClient):
            value.close()
        elif isinstance(value, FakeServer):
            value.stop()


def assert_printed_in_order(program: list[str], output: str) -> None:
    printed = iter(output.splitlines())
    for block in program:
        for promised in re.findall(r"print\(.*\)  # (.*)$", block, re.M):
            assert promised in printed, f"{promised!r} in {output}"


def test_the_quickstart_runs(run, capsys: pytest.CaptureFixture[str]) -> None:
    run("quickstart", QUICKSTART)

    output = capsys.readouterr().out
    assert_printed_in_order(QUICKSTART, output)
    [shown] = re.findall(r"^```text\n(.*?)^```", QUICKSTART_TEXT, re.M | re.S)
    assert shown in output
    assert "no recommendations" not in output


@pytest.mark.parametrize("line", re.findall(r"^\$ (recserve .*)$", QUICKSTART_TEXT, re.M))
def test_a_command_line_of_the_quickstart_runs(line: str) -> None:
    with FakeServer() as server:
        arguments = shlex.split(resolved(line, {"localhost:8500": server.target}))[1:]
        ran = subprocess.run(
            [sys.executable, "-m", "recserve_client", *arguments],
            capture_output=True,
            text=True,
            timeout=60,
        )

    assert (ran.returncode, ran.stderr) == (0, "")
    assert "Harvest Moon Express" in ran.stdout


@pytest.mark.parametrize("title", sorted(COOKBOOK.keys() - {TESTING}))
def test_a_recipe_runs(title: str, run, capsys: pytest.CaptureFixture[str]) -> None:
    program = COOKBOOK[title]
    for package in OPTIONAL:
        if re.search(rf"^(from|import) {package}\b", "".join(program), re.M):
            pytest.importorskip(package)

    run(title, program)

    assert_printed_in_order(program, capsys.readouterr().out)


def test_the_recipe_for_tests_is_a_test_file_that_passes(tmp_path: Path) -> None:
    _, file = COOKBOOK[TESTING]
    (tmp_path / "test_front_page.py").write_text(file)

    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert ran.returncode == 0, ran.stdout
    assert "2 passed" in ran.stdout


def test_all_that_befalls_the_server_is_before_a_block_that_there_is() -> None:
    assert all(number < len(COOKBOOK[title]) for title, number in EVENTS)


def test_the_list_of_recipes_names_all_in_order() -> None:
    head = COOKBOOK_TEXT.partition("\n## ")[0]
    anchors = [re.sub(r"[^\w ]", "", title).lower().replace(" ", "-") for title in COOKBOOK]

    assert list(dict.fromkeys(re.findall(r"\]\(#(.*?)\)", head.partition("```\n\n")[2]))) == anchors
