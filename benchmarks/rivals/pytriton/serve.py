"""Serves a model with PyTriton until SIGTERM; prints `ready` once it answers."""

import os
import sysconfig

import numpy as np
from numpy.typing import NDArray
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig
from rival_cli import keep_stdout_for_ready, serve_until_signal, server_parser
from rival_model import RivalModel

_MAX_BATCH = 128
_POOL = 256  # request objects that Triton keeps; more than are ever in flight


class Endpoint:
    """The inference function of docs: NumPy arrays in and out."""

    def __init__(self, model: RivalModel) -> None:
        self._model = model
        # One more than there are items, so that row -1 is the empty string.
        self._item_ids = np.array([text.encode() for text in [*model.item_ids, ""]])
        self._titles = np.array([text.encode() for text in [*model.titles, ""]])

    @batch
    def infer(self, USER_ID: NDArray[np.object_], K: NDArray[np.int32]) -> list[NDArray]:  # noqa: N803
        """Takes [batch, 1] each, returns ids, titles and scores, [batch, largest k] each."""
        user_ids = [user_id.decode() for user_id in USER_ID[:, 0].tolist()]
        rows, scores = self._model.rank(user_ids, K[:, 0].tolist())
        return [self._item_ids[rows], self._titles[rows], scores]


def main() -> None:
    """Reads the command line and serves."""
    parser = server_parser(__doc__)
    parser.add_argument("--queue-delay-us", type=int, default=0, help="max_queue_delay")
    parser.add_argument("--preferred", type=int, nargs="*", help="preferred batch sizes")
    args = parser.parse_args()
    ready = keep_stdout_for_ready()
    # Triton's Python stub must find the libpython of this interpreter, not of another one.
    os.environ["LD_LIBRARY_PATH"] = ":".join(
        filter(None, [sysconfig.get_config_var("LIBDIR"), os.environ.get("LD_LIBRARY_PATH")])
    )
    endpoint = Endpoint(RivalModel(args.model, args.intra_op_threads))
    config = TritonConfig(
        grpc_address="127.0.0.1",
        grpc_port=args.port,
        allow_http=False,
        allow_metrics=False,
        grpc_infer_allocation_pool_size=_POOL,
        exit_timeout_secs=5,
    )
    with Triton(config=config) as triton:
        triton.bind(
            model_name="recommend",
            infer_func=endpoint.infer,
            inputs=[
                Tensor(name="USER_ID", dtype=bytes, shape=(1,)),
                Tensor(name="K", dtype=np.int32, shape=(1,)),
            ],
            outputs=[
                Tensor(name="ITEM_ID", dtype=bytes, shape=(-1,)),
                Tensor(name="TITLE", dtype=bytes, shape=(-1,)),
                Tensor(name="SCORE", dtype=np.float32, shape=(-1,)),
            ],
            config=ModelConfig(
                max_batch_size=_MAX_BATCH,
                batcher=DynamicBatcher(
                    max_queue_delay_microseconds=args.queue_delay_us,
                    preferred_batch_size=args.preferred,
                ),
            ),
        )
        triton.run()
        serve_until_signal(ready)


if __name__ == "__main__":
    main()
