"""What the three wheels hold and ask for."""

import re
import shutil
import subprocess
import sys
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "client": {"recserve", "recserve_client"},
    "server": {"recserve_server"},
    "trainer": {"recserve_trainer"},
}
SCRIPTS = {"client": "recserve", "server": "recserve-serve", "trainer": "recserve-train"}
TRAINING = {"tf-keras", "tensorflow-recommenders", "tensorflow-datasets"}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, zipfile.ZipFile]:
    folder = tmp_path_factory.mktemp("wheels")
    for part in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / part, folder / part, ignore=ignored)
    command = [sys.executable, "-m", "venv", str(folder / "venv")]
    subprocess.run(command, check=True, timeout=60)
    command = [str(folder / "venv" / "bin" / "python"), "-m", "pip", "wheel", "-q", "--no-deps"]
    command += ["-w", str(folder), *(str(folder / part) for part in PACKAGES)]
    built = subprocess.run(command, capture_output=True, text=True, timeout=250)
    if built.returncode and "hatchling" in built.stderr:
        pytest.skip("no package index can be reached for the build backend")
    assert built.returncode == 0, built.stderr
    return {part: zipfile.ZipFile(*folder.glob(f"recserve_{part}-*.whl")) for part in PACKAGES}


def metadata(wheel: zipfile.ZipFile) -> Message:
    [name] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    return Parser().parsestr(wheel.read(name).decode())


def required(wheel: zipfile.ZipFile) -> set[str]:
    lines = metadata(wheel).get_all("Requires-Dist")
    return {re.match(r"[A-Za-z0-9._-]+", line)[0].replace("_", "-") for line in lines}


@pytest.mark.parametrize("part", PACKAGES)
def test_a_wheel_holds_its_own_packages_typed_and_nothing_else(
    wheels: dict[str, zipfile.ZipFile], part: str
) -> None:
    names = [name for name in wheels[part].namelist() if ".dist-info/" not in name]

    assert {name.partition("/")[0] for name in names} == PACKAGES[part]
    assert {f"{package}/py.typed" for package in PACKAGES[part]} <= set(names)


@pytest.mark.parametrize("part", PACKAGES)
def test_a_wheel_brings_its_command(wheels: dict[str, zipfile.ZipFile], part: str) -> None:
    [name] = [each for each in wheels[part].namelist() if each.endswith("entry_points.txt")]

    assert f"{SCRIPTS[part]} = recserve_{part}.__main__:main" in wheels[part].read(name).decode()


def test_neither_client_nor_server_asks_for_a_training_library(
    wheels: dict[str, zipfile.ZipFile],
) -> None:
    assert not required(wheels["client"]) & (TRAINING | {"tensorflow", "numpy", "pyarrow"})
    assert not required(wheels["server"]) & TRAINING
    assert required(wheels["trainer"]) >= TRAINING
