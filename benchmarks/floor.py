"""The floor: a bare grpc.aio server whose one handler returns the same bytes every time.

Nothing in Python that answers through grpc.aio can be faster. It answers the path of `Recommend`
with a message of the size that it is told, so that both servers move the same bytes.
"""

import argparse
import asyncio
import contextlib
import signal
from pathlib import Path

import grpc

PATH = "/recserve.v1.RecommendationService/Recommend"


class _FixedAnswer(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio's stubs say Any
    def __init__(self, answer: bytes, delay_s: float) -> None:
        async def call(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
            if delay_s:
                await asyncio.sleep(delay_s)
            return answer

        self._handler = grpc.unary_unary_rpc_method_handler(call)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        return self._handler


async def serve(port: int, answer: bytes, delay_s: float) -> None:
    """Answers every call with `answer` until SIGTERM; prints `ready PORT` once it listens."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((_FixedAnswer(answer, delay_s),))
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    print(f"ready {bound}", flush=True)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await server.stop(0)


def main() -> None:
    """Runs the floor from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--answer", type=Path, required=True, help="file with the message's bytes")
    parser.add_argument("--delay-ms", type=float, default=0.0, help="wait before each answer")
    arguments = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        answer, delay_s = arguments.answer.read_bytes(), arguments.delay_ms / 1000
        asyncio.run(serve(arguments.port, answer, delay_s))


if __name__ == "__main__":
    main()
