import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from recserve_client.loadtest.plan import PlanError
from recserve_client.loadtest.server_metrics import MetricsError, MetricsReader

EMPTY = "# nothing\nrecserve_requests_total 3\n"


class Server:
    """A real server of metrics; `text` is what it tells, None that it breaks off."""

    def __init__(self, http: ThreadingHTTPServer) -> None:
        self.url = f"http://127.0.0.1:{http.server_address[1]}/metrics"
        self.text: str | None = EMPTY
        self.status = 200

    def tell(self, *, up_to: dict[str, int], total: int, queue: int | None = None) -> None:
        lines = [
            "# HELP recserve_batch_size Requests per batch.",
            "# TYPE recserve_batch_size histogram",
            *(f'recserve_batch_size_bucket{{le="{bound}"}} {n}' for bound, n in up_to.items()),
            f"recserve_batch_size_count {max(up_to.values())}.0",
            f"recserve_batch_size_sum {total}.0",
            *([] if queue is None else [f"recserve_queue_depth {queue}.0"]),
            'recserve_requests_total{method="Recommend"} 7',
        ]
        self.text = "\n".join(lines) + "\n"


@pytest.fixture
def server() -> Iterator[Server]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if told.text is None:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nrecs")
                return
            self.send_response(told.status)
            self.end_headers()
            self.wfile.write(told.text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as http:
        told = Server(http)
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield told
        http.shutdown()
        thread.join()


def test_batches_are_counted_from_the_last_look(server: Server) -> None:
    server.tell(up_to={"1.0": 100, "+Inf": 100}, total=100)
    reader = MetricsReader(server.url)
    server.tell(up_to={"1.0": 110, "+Inf": 130}, total=230, queue=7)
    first = reader.since_last()
    server.tell(up_to={"1.0": 110, "+Inf": 140}, total=290, queue=0)
    second = reader.since_last()

    assert first == (130 / 30, 7)
    assert second == (6, 0)
    assert reader.since_last() == (None, 0)


def test_sizes_are_counted_from_the_beginning_of_a_stage(server: Server) -> None:
    server.tell(up_to={"1.0": 100, "8.0": 100, "+Inf": 100}, total=100)
    reader = MetricsReader(server.url)
    server.tell(up_to={"1.0": 200, "8.0": 210, "+Inf": 210}, total=300)
    reader.begin()
    server.tell(up_to={"1.0": 205, "8.0": 235, "+Inf": 237}, total=400)
    reader.since_last()

    assert reader.sizes() == (("1", 5), ("8", 20), ("+Inf", 2))


def test_a_server_without_a_queue_depth_has_none_waiting(server: Server) -> None:
    server.tell(up_to={"+Inf": 1}, total=1)
    assert MetricsReader(server.url).since_last() == (None, 0)


@pytest.mark.parametrize("text", [EMPTY, "recserve_batch_size_count x\n", None])
def test_metrics_that_cannot_be_read_later_are_passed_over(
    server: Server, text: str | None
) -> None:
    server.tell(up_to={"1.0": 5, "+Inf": 5}, total=5)
    reader = MetricsReader(server.url)
    server.tell(up_to={"1.0": 9, "+Inf": 9}, total=9)
    assert reader.since_last() == (1, 0)
    server.text = text

    assert reader.since_last() == (None, None)
    assert reader.sizes() == (("1", 4), ("+Inf", 0))
    reader.begin()
    server.tell(up_to={"1.0": 9, "+Inf": 11}, total=15)
    assert reader.since_last() == (3, 0)


def test_what_is_no_address_is_told() -> None:
    told = r"^address of the metrics is 'localhost:9090', must begin with http:// or https://$"
    with pytest.raises(PlanError, match=told):
        MetricsReader("localhost:9090")


def test_metrics_that_are_not_there_are_told(server: Server) -> None:
    unreachable = "http://127.0.0.1:1/metrics"
    with pytest.raises(MetricsError) as raised:
        MetricsReader(unreachable)
    assert str(raised.value) == f"cannot read the metrics at {unreachable}: Connection refused"

    with pytest.raises(
        MetricsError, match=r"/metrics: there is no recserve_batch_size among them$"
    ):
        MetricsReader(server.url)
    server.status = 404
    with pytest.raises(MetricsError, match=r"/metrics: Not Found$"):
        MetricsReader(server.url)
    with pytest.raises(MetricsError, match=r"^cannot read the metrics at .*control characters"):
        MetricsReader(server.url + "/a b")


def test_metrics_are_read_straight_from_the_server(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    server.tell(up_to={"+Inf": 1}, total=1)
    assert MetricsReader(server.url).since_last() == (None, 0)
