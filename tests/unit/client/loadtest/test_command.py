"""The command line, in this process where that will do and as a process where it will not."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import pytest
import runs
import timings
import trustme

from recserve_client.loadtest.command import main
from recserve_client.loadtest.files import read_run, to_json
from recserve_client.testing import SAMPLE_ITEMS, FakeServer, ServerTls

PROGRAM = [sys.executable, "-m", "recserve_client", "loadtest"]
UNREACHABLE = "127.0.0.1:1"
PATIENT_S = 60.0
USERS = {str(number): ["1", "2"] for number in range(1, 21)}
SHORT = ("--duration", "0.3s", "--warmup", "0", "--timeout", "30s", "--arrivals", "constant")

Load = Callable[..., int]


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeServer]:
    with FakeServer(SAMPLE_ITEMS, USERS) as running:
        yield running


@pytest.fixture
def load(fake: FakeServer) -> Iterator[Load]:
    """Runs a short load test in this process."""

    def run(*argv: str, target: str = fake.target, **environ: str) -> int:
        return main(["--target", target, *SHORT, *argv], environ)

    fake.clear()
    yield run
    fake.reset()


def failure(capsys) -> str:
    """Returns the only line that was printed."""
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err.rstrip()


def usage_error(capsys, run: Callable[[], int]) -> str:
    with pytest.raises(SystemExit) as raised:
        run()
    assert raised.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("usage: recserve loadtest")
    return captured.err.splitlines()[-1]


def test_a_load_test_leaves_lines_a_table_and_files(load: Load, capsys, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("run.json", "run.html", "run.hgrm")]
    flags = [text for file in files for text in (f"--{file.suffix[1:]}", str(file))]
    code = load("--rate", "50,100", "--history", "50%", *flags)

    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert (code, captured.err) == (0, "")
    assert lines[0] == "stage 1: 50/s, 0.3 s after 0 s of warm-up"
    assert lines[1].startswith("50/s: ")
    assert lines[4].startswith("load   sent  OK/s")
    assert [line.split()[:2] for line in lines[5:7]] == [["50/s", "15"], ["100/s", "30"]]
    assert "\x1b" not in captured.out
    run = read_run(files[0])
    assert [each.ok for each in run.stages] == [15, 30]
    assert run.mix == "zipf 1; k 10; 0.5 with a history of 1..20"
    assert "<!doctype html>" in files[1].read_text(encoding="utf-8").lower()
    assert "#[Mean" in files[2].read_text(encoding="utf-8")
    assert len(list(tmp_path.iterdir())) == 3


def test_a_dash_prints_json_alone(load: Load, capsys) -> None:
    assert load("--concurrency", "2", "--json", "-") == 0

    captured = capsys.readouterr()
    run = json.loads(captured.out)
    assert run["stages"][0]["label"] == "2 in flight"
    assert "stage 1: 2 in flight" in captured.err
    assert "settled" in captured.err


@pytest.mark.parametrize(
    ("conditions", "code"),
    [
        (("errors>0%", "p99>1h"), 0),
        (("errors>0%", "p99>1us"), 1),
    ],
)
def test_a_condition_that_holds_is_exit_code_1(
    load: Load, capsys, conditions: tuple[str, ...], code: int
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    flags = [text for condition in conditions for text in ("--fail-if", condition)]
    assert load("--concurrency", "2", "--quiet", *flags) == code

    out = capsys.readouterr().out
    assert out.startswith("load ")
    assert ("fails: --fail-if" in out) is bool(code)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_token_is_sent_but_not_told(capsys, tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    with FakeServer(SAMPLE_ITEMS, USERS, required_token="s3cret") as server:
        argv = ["--target", server.target, *SHORT, "--concurrency", "1", "--json", str(file)]
        assert main([*argv, "--token=s3cret", "--token", "s3cret"], {}) == 0
        assert read_run(file).arguments[-3:] == ("***", "--token", "***")
        assert read_run(file).stages[0].errors == {}
        assert "s3cret" not in file.read_text() + "".join(capsys.readouterr())
        assert main(argv, {"RECSERVE_TOKEN": "wrong"}) == 1
    assert failure(capsys).startswith("recserve loadtest: ")


def test_a_server_is_asked_through_tls(capsys, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    roots = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(roots)
    tls = ServerTls(
        private_key=certificate.private_key_pem.bytes(),
        certificate_chain=b"".join(each.bytes() for each in certificate.cert_chain_pems),
    )
    with FakeServer(SAMPLE_ITEMS, USERS, tls=tls) as server:
        argv = ["--target", f"localhost:{server.port}", *SHORT, "--concurrency", "1"]
        assert main([*argv, "--tls-roots", str(roots), "--fail-if", "errors>0%"], {}) == 0
    capsys.readouterr()

    assert main([*argv, "--tls-roots", str(tmp_path / "no.pem")], {}) == 1
    assert failure(capsys).endswith(f"cannot read {tmp_path}/no.pem: No such file or directory")


def test_a_recording_is_replayed(load: Load, fake: FakeServer, capsys, tmp_path: Path) -> None:
    recording, file = tmp_path / "calls.jsonl", tmp_path / "run.json"
    calls = [{"at_s": 10 + n / 10, "request": {"user_id": f"u{n}"}} for n in range(5)]
    recording.write_text("".join(json.dumps(call) + "\n" for call in calls))
    assert load("--replay", str(recording), "--speed", "2", "--json", str(file)) == 0

    [stage] = read_run(file).stages
    assert (stage.arrivals, stage.ok, stage.seconds) == ("recorded", 5, pytest.approx(0.3))
    # Nothing but the model is asked for besides: the recording brings its own users and items.
    assert [call.method for call in fake.calls] == ["GetModel", *["Recommend"] * 5]
    assert {call.request.user_id for call in fake.calls[1:]} == {f"u{n}" for n in range(5)}
    assert read_run(file).mix == "recording calls.jsonl"
    assert "--users" not in capsys.readouterr().out


def test_a_search_prints_what_it_found(load: Load, capsys, tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    assert load("--slo", "p99=30s", "--rate", "40..40", "--json", str(file)) == 0

    out = capsys.readouterr().out
    assert "40/s keeps p99<=30000ms, errors<=0.1%; nothing higher was tried" in out
    assert out.count("objective kept") == 2
    assert read_run(file).search.rate_per_s == 40


@pytest.fixture
def metrics() -> Iterator[str]:
    """A server whose metrics count on by two batches of eight and one of one each time."""
    reads = count(1)

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            n = next(reads)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(
                f'recserve_batch_size_bucket{{le="1.0"}} {n}\n'
                f'recserve_batch_size_bucket{{le="8.0"}} {3 * n}\n'
                f'recserve_batch_size_bucket{{le="+Inf"}} {3 * n}\n'
                f"recserve_batch_size_count {3 * n}\nrecserve_batch_size_sum {17 * n}\n"
                "recserve_queue_depth 4\n".encode()
            )

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{http.server_address[1]}/metrics"
        http.shutdown()
        thread.join()


def test_batches_are_read_from_the_metrics(load: Load, metrics: str, tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    flags = ("--metrics", metrics, "--json", str(file), "--duration", "1.2s")
    assert load("--rate", "50", *flags) == 0

    [stage] = read_run(file).stages
    assert len(stage.windows) == 2
    assert {each.mean_batch_size for each in stage.windows} == {17 / 3}
    assert {each.queue_depth for each in stage.windows} == {4}
    assert stage.batch_sizes == (("1", 3), ("8", 6), ("+Inf", 0))


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        ((), "nothing says how calls leave, must be one of --rate 500, --concurrency 32,"),
        (("--rate", "0"), "a rate is 0, must be above 0, at most 1000000 per second"),
        (("--rate", "5", "--bogus"), "unrecognized arguments: --bogus"),
        (("--rate", "5", "--arrivals", "weekly"), "argument --arrivals: invalid choice"),
        (("--rate", "5", "--zipf", "steep"), "argument --zipf: invalid float value: 'steep'"),
        (("--rate", "5", "--filter", "year"), "argument --filter: "),
        (("--rate", "5", "--target", "films"), "--target is 'films', must be one HOST:PORT"),
        (("--rate", "5", "--token", "a b"), "a bearer token must be printable ASCII"),
        (("--rate", "5", "--metrics", "films:9090"), "address of the metrics is 'films:9090'"),
        (("--rate", "5", "--fail-if", "p99>20"), "'20' is not a latency such as 20ms or 1.5s"),
    ],
)
def test_wrong_usage_is_exit_code_2(load: Load, capsys, argv: tuple[str, ...], told: str) -> None:
    line = usage_error(capsys, lambda: load(*argv))
    assert line.startswith(f"recserve loadtest: error: {told}")


def test_a_speed_is_a_positive_number(load: Load, capsys, tmp_path: Path) -> None:
    recording = tmp_path / "calls.jsonl"
    recording.write_text('{"at_s": 0, "request": {}}\n')
    for speed in ("0", "1001", "nan"):
        line = usage_error(capsys, lambda: load("--replay", str(recording), "--speed", speed))  # noqa: B023
        assert line.endswith(f"--speed is {speed}, must be above 0, at most 1000")


def test_a_recording_without_times_needs_a_rate(load: Load, capsys, tmp_path: Path) -> None:
    recording = tmp_path / "calls.jsonl"
    recording.write_text('{"request": {}}\n')
    line = usage_error(capsys, lambda: load("--replay", str(recording)))
    assert "nothing says how calls leave" in line


def test_a_server_that_is_not_there_is_one_line(load: Load, capsys) -> None:
    assert load("--rate", "5", target=UNREACHABLE) == 1
    told = f"recserve loadtest: cannot reach {UNREACHABLE}: "
    assert failure(capsys).startswith(told)


@pytest.mark.parametrize("flag", ["--users", "--items", "--replay", "--tls-roots"])
def test_a_file_that_is_not_there_is_one_line(load: Load, capsys, flag: str) -> None:
    assert load("--rate", "5", flag, "/no/file") == 1
    told = "recserve loadtest: cannot read /no/file: No such file or directory"
    assert failure(capsys) == told


def test_metrics_that_are_not_there_are_one_line(load: Load, capsys) -> None:
    url = f"http://{UNREACHABLE}/metrics"
    assert load("--rate", "5", "--metrics", url) == 1
    told = f"recserve loadtest: cannot read the metrics at {url}: Connection refused"
    assert failure(capsys) == told


@pytest.mark.parametrize("flag", ["--json", "--html", "--hgrm"])
def test_what_cannot_be_written_is_told_before_the_load(
    load: Load, fake: FakeServer, capsys, tmp_path: Path, flag: str
) -> None:
    assert load("--rate", "5", flag, str(tmp_path / "no" / "file")) == 1
    assert f"cannot write {tmp_path}/no/file: there is no folder " in failure(capsys)
    assert load("--rate", "5", flag, str(tmp_path)) == 1
    assert failure(capsys).endswith(f"cannot write {tmp_path}: it is a folder")
    assert fake.calls == ()


def test_two_runs_are_compared(capsys, tmp_path: Path) -> None:
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    before.write_text(to_json(timings.random_run(1)))
    after.write_text(to_json(timings.random_run(2, factor=2.0)))

    assert main(["compare", str(before), str(after)], {}) == 0
    assert capsys.readouterr().out.endswith("The second run is worse.\n")
    assert main(["compare", str(before), str(after), "--fail-if-worse"], {}) == 1
    assert main(["compare", str(after), str(before), "--fail-if-worse"], {}) == 0
    capsys.readouterr()
    assert main(["compare", str(before), str(after), "--json", "--tolerance", "100%"], {}) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in found["differences"]] == ["p50", "p99", "errors"]
    assert found["verdict"] in ("same", "worse")


def test_a_comparison_that_cannot_be_made_is_told(capsys, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.json", "b.json")]
    for file, stage in zip(files, (runs.open_stage(500.0), runs.open_stage(600.0)), strict=True):
        file.write_text(to_json(runs.run(stage)))
    argv = ["compare", *map(str, files)]

    assert "have no stage in common" in usage_error(capsys, lambda: main(argv, {}))
    assert "'5' is 500%" in usage_error(capsys, lambda: main([*argv, "--tolerance", "5"], {}))
    assert main(["compare", str(files[0]), "/no/file"], {}) == 1
    assert failure(capsys) == ("recserve loadtest: cannot read /no/file: No such file or directory")


def test_a_run_is_made_a_page_or_a_table_later(capsys, tmp_path: Path) -> None:
    file, page = tmp_path / "run.json", tmp_path / "run.html"
    file.write_text(to_json(runs.search_run()))

    assert main(["report", str(file)], {}) == 0
    assert "1,850/s keeps p99<=20ms" in capsys.readouterr().out
    assert main(["report", str(file), "--html", str(page)], {}) == 0
    assert capsys.readouterr().out == ""
    assert main(["report", str(file), "--html", "-"], {}) == 0
    assert capsys.readouterr().out == page.read_text(encoding="utf-8")


@contextlib.contextmanager
def running(*argv: str, **options) -> Iterator[subprocess.Popen[str]]:
    """Runs the program in a session of its own, of which nothing is left afterwards."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    with subprocess.Popen(
        [*PROGRAM, *argv], text=True, start_new_session=True, **options
    ) as program:
        try:
            yield program
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)


def await_line(program: subprocess.Popen[str], beginning: str) -> None:
    assert program.stdout is not None
    assert any(line.startswith(beginning) for line in program.stdout), program.communicate()


def assert_nothing_is_left(program: subprocess.Popen[str]) -> None:
    give_up_s = time.monotonic() + PATIENT_S
    with contextlib.suppress(ProcessLookupError):
        while True:
            os.killpg(program.pid, 0)
            assert time.monotonic() < give_up_s, "some of its processes still run"
            time.sleep(0.02)


@pytest.mark.parametrize(
    ("number", "send"),
    [
        (signal.SIGINT, os.killpg),
        pytest.param(signal.SIGTERM, os.kill, marks=pytest.mark.long),
    ],
)
def test_an_interrupted_test_ends_at_once_with_a_line(
    fake: FakeServer, number: int, send: Callable[[int, int], None]
) -> None:
    argv = ("--target", fake.target, "--rate", "50", "--duration", "1h", "--processes", "2")
    with running(*argv) as program:
        await_line(program, "stage 1:")
        send(program.pid, number)
        _, told = program.communicate(timeout=PATIENT_S)
        assert_nothing_is_left(program)

    assert (program.returncode, told) == (1, "recserve loadtest: interrupted\n")


def test_stages_that_ended_before_an_interruption_are_reported(
    fake: FakeServer, tmp_path: Path
) -> None:
    file = tmp_path / "run.json"
    argv = ("--target", fake.target, "--rate", "50,60,70,80", "--duration", "2s", "--warmup", "0")
    with running(*argv, "--json", str(file)) as program:
        await_line(program, "stage 2:")
        os.killpg(program.pid, signal.SIGINT)
        out, told = program.communicate(timeout=PATIENT_S)

    assert (program.returncode, told) == (1, "recserve loadtest: interrupted\n")
    assert "note: interrupted: what had not ended by then is left out" in out
    assert 1 <= len(read_run(file).stages) < 4


def test_a_full_disk_is_one_line(fake: FakeServer, tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    argv = ("--target", fake.target, *SHORT, "--concurrency", "2", "--quiet")
    with (
        Path("/dev/full").open("w", encoding="utf-8") as full,
        running(*argv, "--json", str(file), stdout=full) as program,
    ):
        _, told = program.communicate(timeout=PATIENT_S)

    line = "recserve loadtest: cannot write the result: No space left on device\n"
    assert (program.returncode, told) == (1, line)
    assert read_run(file).stages[0].ok > 0  # what has a file of its own is not lost


@pytest.mark.parametrize("module", ["hdrh", "rich", "hpack"])
def test_without_the_extra_it_says_what_to_install(module: str) -> None:
    program = (
        f"import sys; sys.modules[{module!r}] = None\n"
        "from recserve_client.__main__ import main\n"
        "sys.exit(main(['loadtest', '--rate', '5']))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENT_S
    )
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.startswith("recserve loadtest: ")
    assert ended.stderr.endswith("pip install 'recserve-client[load]'\n")
