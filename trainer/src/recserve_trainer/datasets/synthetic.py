"""The synthetic data set as a TFDS builder, shaped like MovieLens 1M; of any size, offline."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

import numpy as np
import tensorflow_datasets as tfds

from recserve_trainer.datasets.synthetic_words import GENRES, OCCUPATION_TEXTS, OCCUPATIONS
from recserve_trainer.datasets.synthetic_world import Items, Users, World
from recserve_trainer.synthetic_size import SyntheticSize, parse_size

__all__ = [
    "RecserveSynthetic",
    "SyntheticConfig",
    "SyntheticSize",
    "Table",
    "parse_size",
    "synthetic_builder",
]

Table: TypeAlias = Literal["ratings", "movies"]
"""One example per rating, or one per item."""
_Example: TypeAlias = dict[str, object]

_DESCRIPTION: Final = """
Invented film ratings: no person, film or rating in this data set is real, and any likeness is
chance. The features are those of MovieLens 1M, so that code which reads "movielens/1m-ratings" or
"movielens/1m-movies" reads this data set unchanged. Users have genuine tastes, which a model can
learn: what a user rates, and how highly, follows from hidden factors of the user and the item.
"""


@dataclass(eq=False, kw_only=True)
class SyntheticConfig(tfds.core.BuilderConfig):  # type: ignore[misc]  # TFDS ships no types
    """One table of one world; `name` is the folder of the table on disk."""

    size: SyntheticSize
    """Which world."""
    table: Table
    """Which of its tables."""


class RecserveSynthetic(tfds.core.GeneratorBasedBuilder):  # type: ignore[misc]  # no types
    """Invented film ratings in the shape of MovieLens 1M; no real person or film.

    Use `synthetic_builder` to make one.
    """

    name = "recserve_synthetic"
    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: Final = {"1.0.0": "First release."}

    def _info(self) -> tfds.core.DatasetInfo:
        with_ratings = self.builder_config.table == "ratings"
        return self.dataset_info_from_configs(
            description=_DESCRIPTION,
            features=tfds.features.FeaturesDict(
                _movie_features() | (_rating_features() if with_ratings else {})
            ),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: object) -> dict[str, Iterator[tuple[int, _Example]]]:
        return {"train": self._generate_examples()}

    def _generate_examples(self) -> Iterator[tuple[int, _Example]]:
        config = self.builder_config
        world = World(config.size)
        return enumerate(_ratings(world) if config.table == "ratings" else _Movies(world.items))


def synthetic_builder(
    size: SyntheticSize, table: Table, data_dir: Path
) -> tfds.core.DatasetBuilder:
    """Makes the builder of one table; nothing is generated before `download_and_prepare`.

    Args:
        size: which world; the tables of equal sizes belong together.
        table: "ratings" has one example per rating, user by user and oldest first; "movies" has
            one per item, rated or not.
        data_dir: the folder in which TFDS keeps data sets.

    Returns:
        A builder with the single split "train" and the features of "movielens/1m-ratings" or
        "movielens/1m-movies". Ids are "1", "2" and so on.
    """
    config = SyntheticConfig(
        name=f"{size.name}-{table}",
        description=f"The {table} of an invented world of the size {size.name}.",
        size=size,
        table=table,
    )
    return RecserveSynthetic(config=config, data_dir=data_dir)


def _movie_features() -> _Example:
    return {
        "movie_id": np.str_,
        "movie_title": np.str_,
        "movie_genres": tfds.features.Sequence(tfds.features.ClassLabel(names=list(GENRES))),
    }


def _rating_features() -> _Example:
    return {
        "user_id": np.str_,
        "user_rating": np.float32,
        "timestamp": np.int64,
        "user_gender": np.bool_,
        "bucketized_user_age": np.float32,
        "user_occupation_label": tfds.features.ClassLabel(names=list(OCCUPATIONS)),
        "user_occupation_text": np.str_,
        "user_zip_code": np.str_,
    }


class _Movies:
    """The catalogue as examples, made one at a time."""

    def __init__(self, items: Items) -> None:
        # Python lists: reading single numbers out of an array is many times slower.
        self._titles, self._genres = items.titles, items.genres.tolist()

    def __getitem__(self, item: int) -> _Example:
        return {
            "movie_id": str(item + 1),
            "movie_title": self._titles[item],
            "movie_genres": [genre for genre in self._genres[item] if genre >= 0],
        }

    def __iter__(self) -> Iterator[_Example]:
        return (self[item] for item in range(len(self._titles)))


def _ratings(world: World) -> Iterator[_Example]:
    movies = _Movies(world.items)
    for ratings in world.ratings():
        user = _user(world.users, ratings.user)
        columns = (ratings.items.tolist(), ratings.stars.tolist(), ratings.timestamps.tolist())
        for item, stars, timestamp in zip(*columns, strict=True):
            yield {**movies[item], **user, "user_rating": stars, "timestamp": timestamp}


def _user(users: Users, user: int) -> _Example:
    text = OCCUPATION_TEXTS[users.occupations[user]]
    return {
        "user_id": str(user + 1),
        "user_gender": bool(users.is_male[user]),
        "bucketized_user_age": int(users.ages[user]),
        "user_occupation_label": "student" if text.endswith("student") else text,
        "user_occupation_text": text,
        "user_zip_code": f"{users.zip_codes[user]:05d}",
    }
