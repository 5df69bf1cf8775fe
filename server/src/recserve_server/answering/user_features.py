"""Attributes of users as the numbers that a query tower takes; as the trainer encodes them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from recserve.artifact.v1 import manifest_pb2

_WORD: Final = re.compile(r"[^\W_]+")


Known: TypeAlias = float | str | tuple[str, ...]
"""What is known of one attribute: a number, a text or texts."""


class FeatureEncoder:
    """Encodes what is known of a user; docs/artifact.md, `model.query_features`."""

    def __init__(self, features: Iterable[manifest_pb2.Feature]) -> None:
        """Takes the features, in the order of the tower's columns."""
        self._numbers: list[tuple[str, int, float, float]] = []
        self._places: dict[str, dict[str, int]] = {}
        self._of_words: set[str] = set()
        self.width = 0
        """Columns of the encoding."""
        for each in features:
            if each.kind == "number":
                self._numbers.append((each.name, self.width, each.mean, each.deviation))
                self.width += 2
                continue
            self._places[each.name] = {
                value: self.width + place for place, value in enumerate(each.vocabulary)
            }
            if each.kind == "text":
                self._of_words.add(each.name)
            self.width += len(each.vocabulary)

    def encode(self, values: Mapping[str, Known]) -> NDArray[np.float32]:
        """Returns float32 [width]; what is missing or not of the vocabulary counts as unknown."""
        encoded = np.zeros(self.width, np.float32)
        for name, start, mean, deviation in self._numbers:
            value = values.get(name)
            if isinstance(value, float):
                encoded[start] = (value - mean) / deviation
            else:
                encoded[start + 1] = 1
        encoded[self._hits(values)] = 1
        return encoded

    def known(self, values: Mapping[str, Known]) -> bool:
        """Whether any of the values means something to the tower."""
        numbers = {name for name, *_ in self._numbers}
        has_number = any(
            name in numbers and isinstance(value, float) for name, value in values.items()
        )
        return has_number or bool(self._hits(values))

    def _hits(self, values: Mapping[str, Known]) -> list[int]:
        hits = []
        for name, value in values.items():
            places = self._places.get(name, {})
            if name in self._of_words and isinstance(value, str):
                words: Sequence[str] = _WORD.findall(value.lower())
            elif isinstance(value, float):
                continue
            else:
                words = (value,) if isinstance(value, str) else value
            hits += [places[word] for word in words if word in places]
        return hits
