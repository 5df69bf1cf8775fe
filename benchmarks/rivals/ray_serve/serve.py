"""Serves a model with Ray Serve until SIGTERM; prints `ready` once it answers."""

import os
import socket

from rival_cli import keep_stdout_for_ready, serve_until_signal, server_parser

_SERVICER = (
    "recserve.v1.recommendation_service_pb2_grpc.add_RecommendationServiceServicer_to_server"
)

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",  # stops in seconds, not in 30
}
_INGRESS = {
    # Ray's "high throughput mode": HAProxy instead of the proxy written in Python.
    "haproxy": {"RAY_SERVE_ENABLE_HA_PROXY": "1", "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1"},
    "python": {},
}
_LOGICAL_CPUS = 4  # what Ray's scheduler hands out; more than the replicas ask for


def main() -> None:
    """Reads the command line and serves."""
    parser = server_parser(__doc__)
    parser.add_argument("--batch-wait-ms", type=float, default=2)
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--ingress", choices=sorted(_INGRESS), default="haproxy")
    args = parser.parse_args()
    ready = keep_stdout_for_ready()
    for name, value in (_ENVIRONMENT | _INGRESS[args.ingress]).items():
        os.environ.setdefault(name, value)
    import ray  # reads the environment
    from deployment import Recommender, Settings
    from ray import serve
    from ray.serve.config import HTTPOptions, gRPCOptions

    ray.init(
        num_cpus=_LOGICAL_CPUS,
        include_dashboard=False,
        logging_level="WARNING",
        log_to_driver=False,
    )
    try:
        serve.start(
            http_options=HTTPOptions(host="127.0.0.1", port=_free_port()),
            grpc_options=gRPCOptions(port=args.port, grpc_servicer_functions=[_SERVICER]),
        )
        settings = Settings(args.model.resolve(), args.intra_op_threads, args.batch_wait_ms)
        serve.run(Recommender.options(num_replicas=args.replicas).bind(settings))
        serve_until_signal(ready)
    finally:
        serve.shutdown()
        ray.shutdown()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
