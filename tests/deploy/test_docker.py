import fnmatch
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from dockerfile import DOCKER, ROOT, build, stages, texts
from manifests import container_of, pod_of, rendered

from recserve_client._cli.parser import parse as parse_client
from recserve_server.cli.flags import serve_parser

DOCKERFILES = sorted(DOCKER.glob("*.Dockerfile"))
SERVER, TRAINER = DOCKER / "server.Dockerfile", DOCKER / "trainer.Dockerfile"

every_dockerfile = pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.stem)


@every_dockerfile
def test_the_linter_finds_nothing(path: Path) -> None:
    program = Path(sys.executable).with_name("hadolint")
    linted = subprocess.run([program, path], capture_output=True, text=True, timeout=60)

    assert (linted.returncode, linted.stdout) == (0, "")


@every_dockerfile
def test_an_image_runs_without_root_and_without_its_build_tools(path: Path) -> None:
    _, last = stages(path)

    assert texts(last, "USER") == ["10001:10001"]
    assert texts(last, "STOPSIGNAL") == ["SIGTERM"]
    assert not any("uv" in text.split() for text in texts(last, "RUN"))
    # The exec form: a shell in between would keep SIGTERM to itself.
    for name in ("ENTRYPOINT", "CMD"):
        assert [json.loads(text) for text in texts(last, name)]


@every_dockerfile
def test_images_are_built_by_the_uv_of_the_makefile(path: Path) -> None:
    [used] = re.findall(r"uv==(\S+)", path.read_text())

    assert f"UV_VERSION := {used}\n" in (ROOT / "Makefile").read_text()


@every_dockerfile
def test_what_is_copied_is_not_ignored(path: Path) -> None:
    allowed = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    sources = {name for text in texts(stages(path)[0], "COPY") for name in text.split()[:-1]}

    assert {name.partition("/")[0] for name in sources} <= allowed
    assert all((ROOT / name).exists() for name in sources)
    assert not any(fnmatch.fnmatch(name, "*__pycache__*") for name in sources)


def test_the_server_image_understands_its_command_line_and_health_check() -> None:
    _, last = stages(SERVER)
    [command], [health] = texts(last, "CMD"), texts(last, "HEALTHCHECK")
    program, *flags = json.loads(health.partition("CMD ")[2])

    parsed = serve_parser().parse_args(json.loads(command))
    asked = parse_client(flags, {})

    assert program == "recserve"
    assert asked.target.rpartition(":")[2] == parsed.address.rpartition(":")[2]
    exposed = {parsed.address.rpartition(":")[2], parsed.admin_address.rpartition(":")[2]}
    assert {port for text in texts(last, "EXPOSE") for port in text.split()} == exposed


def test_docker_is_told_to_wait_longer_than_a_drain_takes() -> None:
    _, last = stages(SERVER)
    parsed = serve_parser().parse_args(json.loads(texts(last, "CMD")[0]))
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")

    for text in (SERVER.read_text(encoding="utf-8"), page):
        [seconds] = re.findall(r"--stop-timeout (\d+)", text)
        assert int(seconds) >= parsed.drain_delay + parsed.grace + 5


def test_kubernetes_runs_the_image_as_its_user() -> None:
    _, last = stages(SERVER)
    security = pod_of(rendered())["spec"]["securityContext"]

    assert texts(last, "USER") == [f"{security['runAsUser']}:{security['runAsGroup']}"]
    # `args` takes the place of CMD; with `command` the entry point would be gone.
    assert "command" not in container_of(rendered())


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("path", "program", "absent"),
    [
        (SERVER, "recserve-serve", "recserve_trainer"),
        (TRAINER, "recserve-train", "recserve_server"),
    ],
    ids=["server", "trainer"],
)
def test_the_build_stage_makes_an_environment_that_works(
    path: Path, program: str, absent: str, tmp_path: Path
) -> None:
    environment = build(stages(path)[0], tmp_path)
    programs = environment / "bin"

    for each in (program, "recserve"):
        told = subprocess.run(
            [programs / each, "--version"], capture_output=True, text=True, cwd="/", timeout=100
        )
        assert (told.returncode, told.stderr) == (0, "")
        assert re.fullmatch(r"\d+\.\d+\.\d+\n", told.stdout.split(" ")[-1])
    code = f"import importlib.util; print(importlib.util.find_spec({absent!r}))"
    found = subprocess.run(
        [programs / "python", "-c", code], capture_output=True, text=True, cwd="/", timeout=100
    )
    assert found.stdout == "None\n"
    # Nothing points back to the sources, which stay behind in the first stage.
    assert not list(environment.rglob("__editable__*"))
