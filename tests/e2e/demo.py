"""`make demo`: train, export, serve, ask over gRPC through the SDK, stop everything."""

import argparse
import contextlib
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from recserve_client import Recommendation, RecommenderClient

NAME = "films"
USER = "42"
CALLS = 200


def main() -> int:
    """Runs the demo; returns 0 if every step worked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", default="auto", help="see recserve-train --help")
    parser.add_argument("--data-dir", type=Path, default=Path("build/datasets"), metavar="DIR")
    parser.add_argument("--models", type=Path, default=Path("build/models"), metavar="DIR")
    arguments = parser.parse_args()
    start_s = time.monotonic()
    try:
        train(arguments.dataset, arguments.data_dir, arguments.models)
        with serving(arguments.models) as address:
            ask(address)
    except subprocess.CalledProcessError as error:
        print(f"demo: {error.cmd[2]} failed, see above", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted, everything it started is stopped", file=sys.stderr)
        return 1
    print(f"\nDone in {time.monotonic() - start_s:.0f} s; everything that ran is stopped.")
    print(f"The model stays: make serve MODELS={arguments.models}")
    return 0


def train(dataset: str, data_dir: Path, models_dir: Path) -> None:
    """Trains and publishes a version; its progress goes to this terminal."""
    say("1/3  training and exporting (recserve-train)")
    command = [sys.executable, "-m", "recserve_trainer", "--dataset", dataset]
    command += ["--data-dir", str(data_dir), "--models", str(models_dir), "--name", NAME]
    subprocess.run(command, check=True)


@contextlib.contextmanager
def serving(models_dir: Path) -> Iterator[str]:
    """Starts a server on a free port, yields HOST:PORT, and stops the server."""
    say("2/3  starting the server (recserve-serve)")
    command = [sys.executable, "-m", "recserve_server", "--models", str(models_dir)]
    command += ["--name", NAME, "--address", "127.0.0.1:0", "--admin-address", ""]
    command += ["--log-level", "warning"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        ready = server.stdout.readline().strip()
        if not ready:
            raise subprocess.CalledProcessError(server.wait(), command)
        print(ready)
        yield ready.rpartition(" ")[2]
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=30)
        server.stdout.close()


def ask(address: str) -> None:
    """Asks for a user that the model knows, and for one that it does not."""
    say("3/3  asking over gRPC through the SDK (recserve_client)")
    with RecommenderClient(address) as client:
        show(client.recommend(USER, k=10))
        show(client.recommend("nobody-yet", k=3))
        latencies_s = []
        for _ in range(CALLS):
            start_s = time.perf_counter()
            client.recommend(USER, k=10)
            latencies_s.append(time.perf_counter() - start_s)
    median_ms = statistics.median(latencies_s) * 1000
    print(f"\nlatency: {median_ms:.2f} ms, the median of {CALLS} calls one after another")


def show(recommendation: Recommendation) -> None:
    """Prints one answer."""
    origin = f"{recommendation.model_name} version {recommendation.model_version}"
    why = f" ({recommendation.fallback_reason})" if recommendation.fallback_reason else ""
    print(f"\nuser {recommendation.user_id}, by {recommendation.source}{why}, model {origin}")
    for rank, item in enumerate(recommendation, start=1):
        print(f"  {rank:2d}. {item.title:<50.50}  {item.score:9.3f}")


def say(step: str) -> None:
    """Announces a step."""
    print(f"\n== {step}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
