"""The model that is asked where no other is given."""

import subprocess
import sys
from pathlib import Path


def trained(out: Path, data_dir: str | None) -> Path:
    """Returns a folder with a model of MovieLens' size, trained unless it is there."""
    dataset = "movielens/100k" if data_dir else "recserve_synthetic/943x1682"
    models = out / "models" / dataset.replace("/", "-")
    if not any(models.glob("films/*/manifest.json")):
        command = [sys.executable, "-m", "recserve_trainer", "--dataset", dataset, "--epochs", "3"]
        command += ["--data-dir", data_dir or str(out / "datasets")]
        command += ["--models", str(models), "--name", "films"]
        subprocess.run(command, check=True)
    return models
