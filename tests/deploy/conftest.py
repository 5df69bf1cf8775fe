import sys
from pathlib import Path

import numpy as np
import pytest

from recserve_server.config import ServerConfig
from recserve_server.matrix_model import MatrixModel

sys.path.append(str(Path(__file__).parent))  # for proxy.py and manifests.py


@pytest.fixture
def config(tmp_path: Path) -> ServerConfig:
    MatrixModel(np.array([[0, 1, 2]], np.float32)).publish(tmp_path)
    return ServerConfig(models_dir=tmp_path, address="127.0.0.1:0", grace_s=1.0)
