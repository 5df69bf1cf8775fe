"""The command line, in this process where that will do and as a process where it will not."""

import json
import signal
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import pytest
from pem import Pem
from screens import failure, usage_error

from recserve_client.loadtest.command import main
from recserve_client.loadtest.files import read_run
from recserve_client.testing import SAMPLE_ITEMS, FakeServer

UNREACHABLE = "127.0.0.1:1"
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
    file, token = tmp_path / "run.json", tmp_path / "token"
    token.write_text("s3cret\n")
    with FakeServer(SAMPLE_ITEMS, USERS, required_token="s3cret") as server:
        argv = ["--target", server.target, *SHORT, "--concurrency", "1", "--json", str(file)]
        argv += ["--token-in-plain-text"]
        for flags, environ in (((), {"RECSERVE_TOKEN": "s3cret"}), (("--token-file", token), {})):
            assert main([*argv, *map(str, flags)], environ) == 0
            assert read_run(file).stages[0].errors == {}
            assert "s3cret" not in file.read_text() + "".join(capsys.readouterr())
        assert main(argv, {"RECSERVE_TOKEN": "wrong"}) == 1
    assert failure(capsys).startswith("recserve loadtest: the authorization is not known here; ")


@pytest.fixture
def pem(tmp_path: Path) -> Pem:
    return Pem(tmp_path)


def test_a_secured_server_is_asked_through_tls(capsys, pem: Pem) -> None:
    with FakeServer(SAMPLE_ITEMS, USERS, tls=pem.server_tls("127.0.0.1")) as server:
        argv = ["--target", server.target, *SHORT, "--concurrency", "1"]
        assert main([*argv, "--ca", str(pem.ca), "--fail-if", "errors>0%"], {}) == 0


def test_a_server_that_asks_for_certificates_gets_the_clients_own(capsys, pem: Pem) -> None:
    tls = pem.server_tls("films.example.org", asks_for_certificates=True)
    certificate, key = pem.own()
    with FakeServer(SAMPLE_ITEMS, USERS, tls=tls) as server:
        argv = ["--target", server.target, *SHORT, "--concurrency", "1", "--ca", str(pem.ca)]
        argv += ["--server-name", "films.example.org", "--fail-if", "errors>0%"]
        assert main([*argv, "--cert", str(certificate), "--key", str(key)], {}) == 0
        capsys.readouterr()
        assert main(argv, {}) == 1
    assert failure(capsys).startswith("recserve loadtest: cannot reach 127.0.0.1:")


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


@pytest.mark.long
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
        (("--rate", "5", "--token", "s3cret"), "ambiguous option: --token could match"),
        (("--rate", "5", "--key", "own.key"), "one of --cert and --key is given, must be both"),
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


@pytest.mark.parametrize("flag", ["--users", "--items", "--replay", "--ca", "--token-file"])
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
