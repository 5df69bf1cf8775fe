"""What fuzz targets share: where they begin and how they are run."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import atheris


def fuzz(one: Callable[[bytes], None], seeds: Iterable[bytes]) -> None:
    """Calls `one` with bytes that reach ever more of the code, as libFuzzer's flags in argv say.

    Begins with `seeds` and with what earlier runs found, in build/fuzz of the current folder; files
    named in argv are run instead, once each. Ends the process: with 0 when the time or number of
    runs is up, otherwise at the first exception that `one` lets through, whose input is left in a
    file crash-*.
    """
    argv = list(sys.argv)
    if all(each.startswith("-") for each in argv[1:]):
        argv.append(str(_corpus(Path(argv[0]).stem, seeds)))
    atheris.Setup(argv, atheris.instrument_func(one))
    atheris.Fuzz()


def _corpus(target: str, seeds: Iterable[bytes]) -> Path:
    folder = Path("build/fuzz", target)
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (folder / f"seed-{number}").write_bytes(seed)
    return folder
