"""Vectors that lie in clusters, as trained ones do: a catalogue of any size without training."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

_ROWS_PER_CHUNK: Final = 65_536
_SPREAD: Final = 0.8
"""Expected distance of a vector from its centre, which has length 1."""


def clustered_vectors(
    count: int, length: int, *, seed: int, part: int = 0, clusters: int = 1000
) -> NDArray[np.float32]:
    """Draws vectors around common centres; the same arguments, the same vectors.

    Args:
        count: vectors to draw, 0 or more.
        length: numbers per vector, 1 or more.
        seed: fixes the centres; all parts of one seed share them.
        part: fixes the vectors; give users and items different ones.
        clusters: number of centres, which lie on the unit sphere.

    Returns:
        float32 [count, length], each about 0.8 away from its centre. A smaller `count` gives the
        first rows of a larger one.
    """
    centres = np.random.default_rng([seed]).standard_normal((clusters, length), np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    vectors = np.empty((count, length), np.float32)
    deviation = np.float32(_SPREAD / length**0.5)
    # A chunk at a time: all the noise at once would take the memory of the vectors again.
    for chunk, start in enumerate(range(0, count, _ROWS_PER_CHUNK)):
        random = np.random.default_rng([seed, part, chunk])
        rows = vectors[start : start + _ROWS_PER_CHUNK]
        clusters_of = random.integers(0, clusters, _ROWS_PER_CHUNK)[: len(rows)]
        rows[:] = random.standard_normal(rows.shape, np.float32)
        rows *= deviation
        rows += centres[clusters_of]
    return vectors
