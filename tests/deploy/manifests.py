"""Kubernetes manifests as `kubectl kustomize` would put them together."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonpatch
import yaml

KUBERNETES = Path(__file__).parents[2] / "deploy" / "kubernetes"
COMPONENTS = ("tls", "autoscaling")

Manifest = dict[str, Any]


def documents(path: Path) -> Iterator[Any]:
    yield from yaml.safe_load_all(path.read_text(encoding="utf-8"))


def kustomization(folder: Path) -> Manifest:
    [only] = documents(folder / "kustomization.yaml")
    return only


def rendered(*components: str) -> list[Manifest]:
    """Returns the manifests of the base, components applied to them."""
    made = list(_resources(KUBERNETES))
    for component in components:
        folder = KUBERNETES / "components" / component
        made += _resources(folder)
        for patch in kustomization(folder)["patches"]:
            _apply(patch, folder, made)
    return made


def of_kind(manifests: list[Manifest], kind: str) -> list[Manifest]:
    return [each for each in manifests if each["kind"] == kind]


def the(manifests: list[Manifest], kind: str, name: str = "recserve") -> Manifest:
    [only] = [each for each in of_kind(manifests, kind) if each["metadata"]["name"] == name]
    return only


def pod_of(manifests: list[Manifest]) -> Manifest:
    return the(manifests, "Deployment")["spec"]["template"]


def container_of(manifests: list[Manifest]) -> Manifest:
    [only] = pod_of(manifests)["spec"]["containers"]
    return only


def arguments_of(manifests: list[Manifest]) -> list[str]:
    """Returns the server's command line, settings put in as Kubernetes does."""
    settings = the(manifests, "ConfigMap")["data"]
    found = container_of(manifests)["args"]
    for name, value in settings.items():
        found = [argument.replace(f"$({name})", value) for argument in found]
    return found


def _resources(folder: Path) -> Iterator[Manifest]:
    for name in kustomization(folder).get("resources", []):
        yield from documents(folder / name)


def _apply(patch: Manifest, folder: Path, manifests: list[Manifest]) -> None:
    text = patch.get("patch") or (folder / patch["path"]).read_text(encoding="utf-8")
    target = the(manifests, patch["target"]["kind"], patch["target"]["name"])
    jsonpatch.apply_patch(target, yaml.safe_load(text), in_place=True)
