"""The flags that benchmarks have in common."""

import argparse
from pathlib import Path

OUT = Path("build/bench")


def parser_of(doc: str | None, *, rounds: int, output: str) -> argparse.ArgumentParser:
    """Makes a parser with `--models`, `--rounds` and `--out`.

    Args:
        doc: the program's docstring.
        rounds: how many there are unless told.
        output: the file that is written into `--out`.
    """
    parser = argparse.ArgumentParser(
        description=(doc or "").splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--models", type=Path, help="folder of one NAME; a model is trained once if not given")
    add("--rounds", type=int, default=rounds)
    add("--out", type=Path, default=OUT, help=f"folder of {output} and everything else")
    return parser
