"""The control socket: who may talk to it, and what becomes of those who talk nonsense."""

import asyncio
import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from recserve_server.control.protocol import MOST_BYTES, from_line, to_line
from recserve_server.control.socket import ControlSocket


class Echo:
    """Answers a command with itself, held at a gate if the command says so."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.ran: list[object] = []

    async def __call__(self, command: dict[str, object]) -> dict[str, object]:
        self.ran.append(command.get("command"))
        if command.get("command") == "wait":
            await self.gate.wait()
        if command.get("command") == "fail":
            raise RuntimeError("a secret of the server")
        if command.get("command") == "refuse":
            raise ValueError("it cannot be done")
        return command


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control"


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
async def control(path: Path, echo: Echo) -> AsyncIterator[ControlSocket]:
    opened = ControlSocket(path, echo)
    await opened.open()
    yield opened
    await opened.close()


async def talk(path: Path, sent: bytes, *, ends: bool = False) -> bytes:
    """Sends bytes and returns all that comes back."""
    reader, writer = await asyncio.open_unix_connection(str(path), limit=4 * MOST_BYTES)
    try:
        writer.write(sent)
        if ends:
            writer.write_eof()
        async with asyncio.timeout(20):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.usefixtures("control")
async def test_a_command_is_answered_by_one_line(path: Path) -> None:
    answer = await talk(path, to_line({"command": "hello", "text": "ä\n"}))

    assert answer.count(b"\n") == 1
    assert from_line(answer) == {"result": {"command": "hello", "text": "ä\n"}}


@pytest.mark.usefixtures("control")
async def test_only_the_owner_may_reach_the_file(path: Path) -> None:
    mode = path.stat().st_mode

    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


async def test_the_mask_of_new_files_is_what_it_was(path: Path, echo: Echo) -> None:
    before = os.umask(0o027)
    try:
        opened = ControlSocket(path, echo)
        await opened.open()
        await opened.close()
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)


async def test_the_file_is_gone_after_the_end(path: Path, echo: Echo) -> None:
    opened = ControlSocket(path, echo)
    await opened.open()

    await opened.close()

    assert not path.exists()


async def test_what_a_server_that_crashed_left_there_is_replaced(path: Path, echo: Echo) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    opened = ControlSocket(path, echo)

    await opened.open()

    assert from_line(await talk(path, to_line({"command": "hello"})))["result"]
    await opened.close()


@pytest.mark.usefixtures("control")
async def test_a_socket_in_use_is_left_to_whoever_uses_it(path: Path, echo: Echo) -> None:
    with pytest.raises(FileExistsError, match="another server listens there"):
        await ControlSocket(path, echo).open()

    assert from_line(await talk(path, to_line({"command": "hello"})))["result"]


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir])
async def test_what_is_no_socket_is_left_alone(
    path: Path, echo: Echo, make: Callable[[Path], None]
) -> None:
    make(path)

    with pytest.raises(FileExistsError, match="no socket"):
        await ControlSocket(path, echo).open()

    assert path.exists()


@pytest.mark.parametrize("name", ["nowhere/control", "x" * 200])
async def test_a_path_that_cannot_be_is_refused(tmp_path: Path, echo: Echo, name: str) -> None:
    with pytest.raises(OSError, match=r"."):
        await ControlSocket(tmp_path / name, echo).open()


@pytest.mark.parametrize(
    "line",
    [
        *(b"\n", b"hello\n", b"[]\n", b"3\n", b"null\n", b"\xff\xfe\n", b"{\n", b'{"command": }\n'),
        *(b"[" * 100_000 + b"\n", b"\0" * 100 + b"\n", b'"' + b"a" * 10_000 + b'"\n'),
    ],
)
@pytest.mark.usefixtures("control")
async def test_a_line_that_is_no_command_is_answered_by_an_error(
    path: Path, echo: Echo, line: bytes
) -> None:
    answer = await talk(path, line)

    assert set(from_line(answer)) == {"error"}
    assert echo.ran == []


@pytest.mark.usefixtures("control")
async def test_a_line_without_an_end_is_not_run(path: Path, echo: Echo) -> None:
    await talk(path, json.dumps({"command": "hello"}).encode(), ends=True)

    assert echo.ran == []


@pytest.mark.usefixtures("control")
async def test_a_line_that_is_too_long_is_not_taken(path: Path, echo: Echo) -> None:
    answer = await talk(path, to_line({"command": "x" * (2 * MOST_BYTES)}))

    assert not answer or "error" in from_line(answer)
    assert echo.ran == []
    assert from_line(await talk(path, to_line({"command": "hello"})))["result"]


@pytest.mark.usefixtures("control")
async def test_a_reason_is_told_and_the_text_of_a_failure_is_not(path: Path) -> None:
    refused = await talk(path, to_line({"command": "refuse"}))
    failed = await talk(path, to_line({"command": "fail"}))

    assert from_line(refused) == {"error": "it cannot be done"}
    assert "internal error" in from_line(failed)["error"]
    assert b"secret" not in failed


@pytest.mark.usefixtures("control")
async def test_one_who_says_nothing_keeps_nobody_waiting(path: Path) -> None:
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        answer = await talk(path, to_line({"command": "hello"}))
    finally:
        writer.close()

    assert from_line(answer)["result"] == {"command": "hello"}
    assert await reader.read() == b""


async def test_one_who_says_nothing_is_let_go_in_time(
    path: Path, control: ControlSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recserve_server.control.socket._TIME_TO_ASK_S", 0.05)

    assert await talk(path, b'{"command": "hel') == b""


@pytest.mark.usefixtures("control")
async def test_a_command_that_takes_long_keeps_no_other_one_out(path: Path, echo: Echo) -> None:
    waiting = asyncio.create_task(talk(path, to_line({"command": "wait"})))
    while not echo.ran:
        await asyncio.sleep(0.01)

    assert from_line(await talk(path, to_line({"command": "hello"})))["result"]
    assert not waiting.done()
    echo.gate.set()
    assert from_line(await waiting)["result"] == {"command": "wait"}


@pytest.mark.usefixtures("control")
async def test_one_who_leaves_before_the_answer_harms_nobody(path: Path, echo: Echo) -> None:
    _, writer = await asyncio.open_unix_connection(str(path))
    writer.write(to_line({"command": "wait"}))
    while not echo.ran:
        await asyncio.sleep(0.01)
    writer.close()
    await writer.wait_closed()
    echo.gate.set()

    assert from_line(await talk(path, to_line({"command": "hello"})))["result"]


@pytest.mark.usefixtures("control")
async def test_many_commands_at_a_time_are_each_answered(path: Path) -> None:
    async def ask(number: int) -> object:
        answer = await talk(path, to_line({"command": "hello", "number": number}))
        return from_line(answer)["result"]["number"]

    asked: list[Awaitable[object]] = [ask(number) for number in range(60)]

    assert await asyncio.gather(*asked) == list(range(60))


AS_NOBODY = """
import os, socket, sys
os.setgid(65534); os.setuid(65534)
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(sys.argv[1])
    try:
        connection.sendall(b'{"command": "hello"}\\n')
        sys.stdout.write(repr(connection.recv(1000)))
    except ConnectionError:
        sys.stdout.write(repr(b""))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.usefixtures("control")
async def test_another_user_is_refused_even_where_modes_let_them_in(path: Path, echo: Echo) -> None:
    for folder in [path, *path.parents]:
        if folder.stat().st_uid == 0 and not folder.stat().st_mode & stat.S_IXOTH:
            folder.chmod(folder.stat().st_mode | 0o111)
    path.chmod(0o777)
    ran = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", AS_NOBODY, str(path)],
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert (ran.returncode, ran.stdout) == (0, "b''"), ran.stderr
    assert echo.ran == []
