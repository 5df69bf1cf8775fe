"""An invented shop: customers with tastes, products, and who bought what when; pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from recserve_trainer.errors import DatasetError

_THINGS: Final = {
    "kitchen": ("mug", "teapot", "pan", "bowl", "kettle", "board"),
    "garden": ("trowel", "planter", "hose", "lantern", "rake", "bench"),
    "toys": ("puzzle", "kite", "train", "doll", "marble run", "top"),
    "books": ("notebook", "atlas", "diary", "cookbook", "field guide", "almanac"),
    "clothing": ("scarf", "jumper", "cap", "apron", "socks", "gloves"),
    "tools": ("hammer", "saw", "level", "clamp", "chisel", "drill"),
    "music": ("ukulele", "drum", "flute", "metronome", "tambourine", "harp"),
    "camping": ("tent", "stove", "hammock", "flask", "torch", "rucksack"),
}
_MATERIALS: Final = ("oak", "steel", "linen", "wool", "copper", "cork", "bamboo", "felt")
_COLOURS: Final = ("red", "blue", "green", "black", "white", "yellow", "grey", "plain")
_TAGS: Final = ("gift", "handmade", "recycled", "outdoor", "classic", "small", "new", "vegan")
_CITIES: Final = ("Aber", "Brook", "Carn", "Dale", "Elm", "Ford")
_FIRST_DAY: Final = np.datetime64("2024-01-01T00:00:00", "s")
_SECONDS: Final = 2 * 365 * 86_400
_SCORES_PER_CHUNK: Final = 2**24


@dataclass(frozen=True, kw_only=True, slots=True)
class ShopSize:
    """How large a shop is, and which one of that size; the same size, the same shop."""

    user_count: int = 1000
    """Customers, 10 to 1,000,000."""
    item_count: int = 300
    """Products, 10 to 100,000."""
    interaction_count: int = 30_000
    """Purchases: from one per customer to half of the products per customer."""
    seed: int = 42
    """0 or more."""

    def __post_init__(self) -> None:
        most = self.user_count * (self.item_count // 2)
        for name, value, least, largest in (
            ("users", self.user_count, 10, 10**6),
            ("items", self.item_count, 10, 10**5),
            ("interactions", self.interaction_count, self.user_count, most),
            ("seed", self.seed, 0, 2**32 - 1),
        ):
            if not least <= value <= largest:
                raise ValueError(f"{name} is {value}, must be from {least} to {largest}")


def write_shop(folder: Path, size: ShopSize, file_format: str = "csv") -> list[Path]:
    """Writes interactions, items and users into a folder, as CSV or Parquet.

    A customer prefers some kinds of products, some tags and a level of prices, and buys each
    product once at most: drawn without replacement, by the Gumbel-max trick (Kool, van Hoof &
    Welling, "Stochastic beams and where to find them", 2019).

    Raises:
        DatasetError: the folder has tables already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tables = shop_tables(size)
    paths = [folder / f"{name}.{file_format}" for name in tables]
    for path in paths:
        if path.exists():
            raise DatasetError(f"{path} exists; give another folder")
    for path, table in zip(paths, tables.values(), strict=True):
        if file_format == "csv":
            pa_csv.write_csv(table, path)
        else:
            pq.write_table(table, path)
    return paths


def shop_tables(size: ShopSize) -> dict[str, pa.Table]:
    """Invents the tables `interactions`, `items` and `users`."""
    random = np.random.default_rng([size.seed, size.user_count, size.item_count])
    traits, item_bias, items = _products(size.item_count, random)
    tastes, users = _customers(size.user_count, traits.shape[1], random)
    counts = _activity(size, random)
    chosen = list(_chosen(tastes, traits, item_bias, counts, random))
    item_rows = np.concatenate(chosen)
    user_rows = np.repeat(np.arange(size.user_count), counts)
    seconds = random.integers(0, _SECONDS, size.interaction_count)
    order = np.argsort(seconds, kind="stable")
    customers: Any = users["customer_id"]
    products: Any = items["sku"]
    times: Any = pa.array(_FIRST_DAY + seconds[order].astype("timedelta64[s]"))
    interactions = pa.table(
        {
            "customer_id": customers.take(pa.array(user_rows[order])),
            "sku": products.take(pa.array(item_rows[order])),
            "purchased_at": times,
            "quantity": pa.array(1 + random.poisson(0.3, size.interaction_count)),
        }
    )
    return {"interactions": interactions, "items": items, "users": users}


def _products(
    count: int, random: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32], pa.Table]:
    """Returns [products, traits], [products] how popular each is, and the table."""
    categories = list(_THINGS)
    category = random.integers(0, len(categories), count)
    has_tag = random.random((count, len(_TAGS))) < 0.25
    log_price = random.normal(3, 0.7, count)
    names = []
    for kind in category.tolist():
        thing = random.choice(_THINGS[categories[kind]])
        names.append(f"{random.choice(_MATERIALS)} {thing}, {random.choice(_COLOURS)}".capitalize())
    one_hot = np.eye(len(categories))[category]
    traits = np.column_stack([one_hot, has_tag, log_price - 3]).astype(np.float32)
    # -(price - level)^2, without the part that is the same for all products of a customer.
    bias = random.normal(0, 0.8, count) - (log_price - 3) ** 2
    table = pa.table(
        {
            "sku": [f"P{number:05}" for number in range(1, count + 1)],
            "name": names,
            "category": [categories[kind] for kind in category],
            "price": np.round(np.exp(log_price), 2),
            "tags": ["|".join(np.array(_TAGS)[row]) for row in has_tag],
        }
    )
    return traits, bias.astype(np.float32), table


def _customers(
    count: int, trait_count: int, random: np.random.Generator
) -> tuple[NDArray[np.float32], pa.Table]:
    """Returns [customers, traits] how much each likes what, and the table."""
    tastes = random.normal(0, 1.5, (count, trait_count))
    tastes[:, -1] = 2 * random.normal(0, 0.7, count)
    age = np.clip(np.rint(random.normal(44, 14, count)), 18, 90).astype(np.int64)
    # The young like music and camping, the others garden and books: ages tell something.
    tastes[:, [6, 7]] += ((44 - age) / 14)[:, None]
    tastes[:, [1, 3]] -= ((44 - age) / 14)[:, None]
    table = pa.table(
        {
            "customer_id": [f"c{number}" for number in range(1, count + 1)],
            "age": age,
            "city": [_CITIES[city] for city in random.integers(0, len(_CITIES), count)],
        }
    )
    return tastes.astype(np.float32), table


def _activity(size: ShopSize, random: np.random.Generator) -> NDArray[np.int64]:
    """Returns [customers]: purchases of each, a few buy much, in total as many as asked for."""
    most = size.item_count // 2
    weights = random.lognormal(0, 0.8, size.user_count)
    counts = np.ones(size.user_count, np.int64)
    while (missing := size.interaction_count - int(counts.sum())) > 0:
        open_weights = np.where(counts < most, weights, 0)
        counts += random.multinomial(missing, open_weights / open_weights.sum())
        counts = np.minimum(counts, most)
    return counts


def _chosen(
    tastes: NDArray[np.float32],
    traits: NDArray[np.float32],
    bias: NDArray[np.float32],
    counts: NDArray[np.int64],
    random: np.random.Generator,
) -> Iterator[NDArray[np.intp]]:
    """Yields the products that each customer buys."""
    step = max(1, _SCORES_PER_CHUNK // len(traits))
    for start in range(0, len(tastes), step):
        scores = tastes[start : start + step] @ traits.T + bias
        noise = random.standard_exponential(scores.shape, np.float32)
        scores -= np.log(np.maximum(noise, np.finfo(np.float32).tiny))  # a float32 can be 0
        for row, count in zip(scores, counts[start : start + step].tolist(), strict=True):
            # A copy: the slice alone would keep an order of the whole catalogue alive.
            yield np.argpartition(-row, count - 1)[:count].copy()
