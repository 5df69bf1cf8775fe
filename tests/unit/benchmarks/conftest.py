"""Makes the modules of benchmarks/, which is no package, importable for the tests beside."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[3] / "benchmarks"))
