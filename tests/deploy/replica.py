"""One server as a process of its own, over a NumPy model: replica.py MODELS_DIR [CERT KEY].

Prints HOST:PORT when it serves. After SIGTERM it is NOT_SERVING for long, still answering.
"""

import asyncio
import signal
import sys
from pathlib import Path

from recserve_server.config import ServerConfig, TlsConfig
from recserve_server.testing import running_server

DRAIN_DELAY_S = 60.0


async def serve(models_dir: Path, certificate: Path | None = None, key: Path | None = None) -> None:
    config = ServerConfig(
        models_dir=models_dir,
        address="127.0.0.1:0",
        drain_delay_s=DRAIN_DELAY_S,
        grace_s=1.0,
        tls=TlsConfig(certificate=certificate, key=key),
    )
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with running_server(config) as server:
        print(server.address, flush=True)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(serve(*map(Path, sys.argv[1:])))
