"""The model that is asked."""

import argparse
import os
import subprocess
import sys
from pathlib import Path


def chosen(args: argparse.Namespace) -> Path:
    """Returns the folder of `--models`, or one with a model of MovieLens' size, trained once."""
    return args.models or _trained(args.out, os.environ.get("TFDS_DATA_DIR"))


def _trained(out: Path, data_dir: str | None) -> Path:
    dataset = "movielens/100k" if data_dir else "recserve_synthetic/943x1682"
    models = out / "models" / dataset.replace("/", "-")
    if not any(models.glob("films/*/manifest.json")):
        command = [sys.executable, "-m", "recserve_trainer", "--dataset", dataset, "--epochs", "3"]
        command += ["--data-dir", data_dir or str(out / "datasets")]
        command += ["--models", str(models), "--name", "films"]
        subprocess.run(command, check=True)
    return models
