"""What a user gets from `pip install ./client`, in an environment that has nothing else."""

import json
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(600)]

CLIENT = Path(__file__).parents[2] / "client"
INSTALLED = {
    "googleapis-common-protos",
    "grpcio",
    "grpcio-health-checking",
    "protobuf",
    "recserve-client",
    "typing-extensions",
}
INSTALLERS = {"pip", "setuptools"}
FLOORS = ["grpcio==1.80.0", "grpcio-health-checking==1.80.0", "protobuf==6.31.1"]
NETWORK_ERRORS = (
    "Failed to establish a new connection",
    "Temporary failure in name resolution",
    "Name or service not known",
    "Network is unreachable",
    "Connection refused",
    "Could not fetch URL",
    "timed out",
    "ProxyError",
)


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    # From another folder, so that nothing of the checkout can be imported by accident.
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=500)


def install(environment: Path, *packages: str, extra: str = "") -> Path:
    """Makes an environment with the client in it and returns its folder of programs."""
    # A build in the checkout would leave files behind.
    source = environment / "client"
    shutil.copytree(CLIENT, source, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    run(sys.executable, "-m", "venv", "venv", cwd=environment).check_returncode()
    programs = environment / "venv" / "bin"
    done = run(
        *(programs / "python", "-m", "pip", "install", "-q", f"{source}{extra}", *packages),
        cwd=environment,
    )
    if done.returncode != 0 and any(words in done.stderr for words in NETWORK_ERRORS):
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stderr
    return programs


def installed_versions(programs: Path) -> dict[str, str]:
    """Maps the name of each installed distribution, spelt with dashes, to its version."""
    listed = run(programs / "python", "-m", "pip", "list", "--format=json", cwd=programs)
    return {
        package["name"].lower().replace("_", "-"): package["version"]
        for package in json.loads(listed.stdout)
    }


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("newest"))


def test_the_client_installs_itself_and_five_packages_more(programs: Path) -> None:
    assert set(installed_versions(programs)) - INSTALLERS == INSTALLED


def test_the_installed_command_explains_itself(programs: Path) -> None:
    helped = run(programs / "recserve", "--help", cwd=programs)
    versioned = run(programs / "recserve", "--version", cwd=programs)

    assert (helped.returncode, helped.stderr) == (0, "")
    assert helped.stdout.startswith("usage: recserve")
    assert versioned.stdout == f"recserve {version('recserve-client')}\n"


def test_the_load_tester_says_what_to_install(programs: Path) -> None:
    ran = run(programs / "recserve", "loadtest", "--rate", "1", cwd=programs)

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.endswith("pip install 'recserve-client[load]'\n")
    assert ran.stderr.count("\n") == 1


@pytest.mark.long
def test_the_load_tester_runs_with_its_extra_alone(tmp_path: Path) -> None:
    programs = install(tmp_path, extra="[load]")

    helped = run(programs / "recserve", "loadtest", "--help", cwd=tmp_path)
    failed = run(
        programs / "recserve", "loadtest", "--rate", "1", "--target", "127.0.0.1:1", cwd=tmp_path
    )

    assert (helped.returncode, helped.stderr) == (0, "")
    assert failed.returncode == 1
    assert failed.stderr.startswith("recserve loadtest: cannot reach 127.0.0.1:1: ")
    assert failed.stderr.count("\n") == 1


def test_the_installed_package_is_typed_and_imports_without_warnings(programs: Path) -> None:
    code = "from recserve_client import *; import recserve_client; print(recserve_client.__file__)"

    imported = run(programs / "python", "-W", "error", "-c", code, cwd=programs)

    assert (imported.returncode, imported.stderr) == (0, "")
    assert Path(imported.stdout.strip()).with_name("py.typed").exists()


@pytest.mark.long
def test_the_declared_floors_are_enough(tmp_path: Path) -> None:
    programs = install(tmp_path, *FLOORS)
    call = ("-m", "recserve_client", "health", "--target", "127.0.0.1:1")

    called = run(programs / "python", "-W", "error", *call, cwd=tmp_path)

    versions = installed_versions(programs)
    assert [
        f"{name}=={versions[name]}" for name in (floor.partition("==")[0] for floor in FLOORS)
    ] == FLOORS
    assert (called.returncode, called.stdout) == (1, "")
    assert called.stderr.startswith("recserve: cannot reach 127.0.0.1:1: ")
    assert called.stderr.count("\n") == 1
