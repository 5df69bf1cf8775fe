"""Writes what Envoy must know of recserve.v1 to take calls as JSON: a FileDescriptorSet.

Needs recserve-client and nothing else: `python make_descriptors.py recserve.pb`.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Final

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from recserve import v1

_GENERATED: Final = "_pb2"
_OF_ERRORS: Final = ("google.rpc.error_details_pb2", "google.rpc.status_pb2")
"""What errors carry: with a detail that Envoy does not know, JSON callers get an empty body."""


def describe(modules: Iterable[str]) -> FileDescriptorSet:
    """Returns the files that generated modules were made of, each after all that it imports."""
    files: dict[str, FileDescriptor] = {}
    for module in modules:
        _add(import_module(module).DESCRIPTOR, files)
    described = FileDescriptorSet()
    for file in files.values():
        proto = FileDescriptorProto()
        file.CopyToProto(proto)
        described.file.append(proto)
    return described


def api_modules() -> Iterator[str]:
    """Returns the names of the generated modules of recserve.v1."""
    for module in iter_modules(v1.__path__, f"{v1.__name__}."):
        if module.name.endswith(_GENERATED):
            yield module.name


def _add(file: FileDescriptor, files: dict[str, FileDescriptor]) -> None:
    if file.name in files:
        return
    for dependency in file.dependencies:
        _add(dependency, files)
    files[file.name] = file


def main() -> int:
    """Writes the file that the command line names; returns the exit code."""
    parser = argparse.ArgumentParser(description="Describe recserve.v1 to Envoy.")
    parser.add_argument("path", type=Path, metavar="FILE", help="what to write, e.g. recserve.pb")
    path: Path = parser.parse_args().path
    described = describe([*api_modules(), *_OF_ERRORS])
    try:
        path.write_bytes(described.SerializeToString())
    except OSError as error:
        print(f"make_descriptors: cannot write {path}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
