"""How each family learns: its settings with their limits, checked at birth."""

import math
from dataclasses import dataclass
from typing import Final

from recserve_trainer.fit_settings import FitConfig, GradientConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class CollaborativeConfig(GradientConfig):
    """The id two-tower; defaults chosen on folds inside MovieLens 100K's training part."""

    epochs: int = 30
    l2: float = 0.07
    averaging: bool = True
    """Serve the moving average of the vectors over the steps, not the vectors of the last."""
    least_confidence: float = 0.6
    """Weight of an interaction with the lowest rating; from the middle of the scale up it is 1."""
    sampling_correction: bool = True
    """Lower the logits of items by how often they turn up as negatives (logQ)."""
    remove_accidental_hits: bool = True
    """Keep the item that is looked for from being a negative of itself."""
    item_bias: bool = True
    """Learn a number per item that is added to its scores."""
    optimizer: str = "adam"
    """`adam` or `adagrad`."""
    history_prior: float = 3.0
    """Of users that training does not know, a history of n items counts n / (n + prior)."""
    query_l2: float = 0.1
    """Weight of the squared weights between histories or profiles and user vectors."""

    def __post_init__(self) -> None:
        GradientConfig.__post_init__(self)
        # A history that is empty would be divided by 0, and equations need not have one solution.
        self._require(("history_prior", "query_l2"), 1e-6, math.inf)
        self._require(("least_confidence",), 0.01, 1)
        if self.optimizer not in ("adam", "adagrad"):
            raise ValueError(f"optimizer is {self.optimizer!r}, must be adam or adagrad")


@dataclass(frozen=True, kw_only=True, slots=True)
class TextbookConfig(CollaborativeConfig):
    """The id two-tower as the TensorFlow Recommenders tutorials set it, to compare with."""

    epochs: int = 3
    embedding_dimension: int = 32
    batch_size: int = 8192
    learning_rate: float = 0.1
    l2: float = 0.0
    averaging: bool = False
    least_confidence: float = 1.0
    sampling_correction: bool = False
    remove_accidental_hits: bool = False
    item_bias: bool = False
    optimizer: str = "adagrad"


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureConfig(GradientConfig):
    """What the families have that learn from attributes and histories."""

    history_draws: int = 16
    """Items of a user's history that a training step looks at, drawn anew each time."""
    history_prior: float = 5.0
    """A history of n items counts n / (n + prior) beside the profile."""
    short_histories: float = 0.0
    """Share of interactions whose history is cut to a random few, as new users have it."""
    feature_l2: float = 0.002
    """Weight of the squared weights of all attributes, per interaction."""
    item_dropout: float = 0.3
    """Share of items that a training step sees as if they were new: by their attributes alone."""

    def __post_init__(self) -> None:
        GradientConfig.__post_init__(self)
        self._require(("history_draws",), 1, math.inf)
        self._require(("feature_l2",), 0, 1000)
        self._require(("item_dropout", "short_histories"), 0, 1)
        # A history that is empty would be divided by 0.
        self._require(("history_prior",), 1e-3, math.inf)


@dataclass(frozen=True, kw_only=True, slots=True)
class AttributeConfig(CollaborativeConfig):
    """What the families have that map attributes to learnt vectors.

    The defaults were chosen on MovieLens 100K, on users and items held out by another seed (7) than
    the one that is reported (docs/quality.md).
    """

    new_item_l2: float = 20.0
    """Weight of the squared weights between attributes and vectors of items without training
    interactions; a row of average popularity counts 1 beside it."""

    def __post_init__(self) -> None:
        CollaborativeConfig.__post_init__(self)
        self._require(("new_item_l2",), 1e-6, math.inf)


@dataclass(frozen=True, kw_only=True, slots=True)
class ContentConfig(AttributeConfig):
    """Attributes of items and users, and no ids."""

    item_l2: float = 1.0
    """As `new_item_l2`, of items with training interactions, which have a popularity as well."""

    def __post_init__(self) -> None:
        AttributeConfig.__post_init__(self)
        self._require(("item_l2",), 1e-6, math.inf)


@dataclass(frozen=True, kw_only=True, slots=True)
class HybridConfig(AttributeConfig):
    """Ids and attributes in both towers."""

    item_shrinkage: float = 3.0
    """An item of n interactions is by n / (n + shrinkage) its id, and else its attributes."""

    def __post_init__(self) -> None:
        AttributeConfig.__post_init__(self)
        self._require(("item_shrinkage",), 0, math.inf)


@dataclass(frozen=True, kw_only=True, slots=True)
class HistorySoftmaxConfig(FeatureConfig):
    """Queries from pooled histories, by gradients; ids and attributes of items alone.

    On a fold inside the training part of MovieLens 100K an
    l2 of 0.1 was worse, one below 0.04 and more draws no better.
    """

    epochs: int = 15
    item_dropout: float = 0.0
    """Share of items whose id a training step does not see; more is better for new items."""

    def __post_init__(self) -> None:
        FeatureConfig.__post_init__(self)
        self._require(("item_dropout",), 0, 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class HistoryConfig(FitConfig):
    """Queries from histories, in closed form: one epoch is everything.

    The defaults were chosen on folds inside the training part of MovieLens 100K.
    """

    dimension: int = 128
    """Length of the vectors, at most; above `ease_items` it is `ials_dimension`."""
    blend: float = 2.2
    """Weight of the iALS scores beside the EASE scores, both with a deviation of 1."""
    ease_items: int = 12_000
    """Larger catalogues are left to iALS alone. EASE keeps a number per pair of items, at 12,000
    items 0.6 GB in the artifact and 6 GB while it is fitted, and takes about 3 items^3 operations,
    there some minutes on 2 cores; at 100,000 items it would be 40 GB, 400 GB and a day."""
    basis_users: int = 4000
    """Users, at most, whose scores the common vectors of items are learnt from."""
    ease_l2: float = 600.0
    """Ridge of EASE, in interactions."""
    user_weight_power: float = 0.5
    """A user of n interactions weighs n^-power in EASE."""
    session_weight: float = 4.0
    """Weight in EASE of a session of n items, times n^-0.5; 0 for none."""
    session_gap_s: int = 60
    """Seconds without an interaction that end a session."""
    ease_side_weight: float = 15.0
    """Weight in EASE of an attribute that items share; 0 for none."""
    ials_dimension: int = 64
    """Length of the iALS vectors."""
    ials_alpha: float = 0.3
    """Weight of a missing interaction beside one that is there."""
    ials_l2: float = 0.1
    """Weight of the squared norms in iALS."""
    ials_l2_power: float = 0.75
    """The norm of a vector with n interactions weighs n^power: 0 the same for all, 1 as often as it
    occurs."""
    ials_side_weight: float = 3.0
    """Weight in iALS of an attribute that items share, in users; 0 for none."""
    ials_iterations: int = 12
    """Alternations between users and items."""
    least_confidence: float = 0.6
    """Weight of an interaction with the lowest rating; from the middle of the scale up it is 1."""

    def __post_init__(self) -> None:
        FitConfig.__post_init__(self)
        self._require_one_epoch()
        self._require(
            ("dimension", "ials_dimension", "ials_iterations", "basis_users"), 1, math.inf
        )
        self._require(("ease_items", "session_gap_s", "session_weight"), 0, math.inf)
        self._require(("ease_side_weight", "ials_side_weight"), 0, math.inf)
        self._require(("blend",), 0, 1000)
        self._require(("user_weight_power", "ials_l2_power"), 0, 10)
        self._require(("least_confidence",), 0.01, 1)
        # Without these the systems to be solved can be singular.
        self._require(("ease_l2", "ials_l2", "ials_alpha"), 1e-6, math.inf)


@dataclass(frozen=True, kw_only=True, slots=True)
class RankingConfig(HistoryConfig):
    """Two stages: the history family retrieves, with all its settings, a ranker puts in order.

    The defaults were chosen on users left out, on folds inside the training part of MovieLens 100K.
    """

    ranker: str = "lambdamart"
    """`lambdamart`, boosted trees, or `dcn`, a deep and cross network."""
    candidates: int = 200
    """Items that the first stage retrieves for the ranker."""
    blend_weight: float = 0.3
    """Weight of the retrieval score beside the ranker's, both with a deviation of 1."""
    list_length: int = 120
    """Of these the best that the ranker learns from; the others hold little to be found."""
    folds: int = 5
    """Parts of the training interactions that are held out in turn, for the ranker to find."""
    groups: int = 4
    """Groups of users; a user is ranked by what was learnt from the lists of all other groups."""
    trees: int = 100
    """Trees per group."""
    depth: int = 3
    """Comparisons from the root of a tree to a leaf."""
    learning_rate: float = 0.07
    """Share of each tree that is added."""
    leaf_rows: int = 1000
    """Candidates that a leaf must hold in training; fewer where there are few in all."""
    threads: int = 2
    """Of LightGBM; the trees are the same for any number."""

    def __post_init__(self) -> None:
        HistoryConfig.__post_init__(self)
        if self.ranker not in ("lambdamart", "dcn"):
            raise ValueError(f"ranker is {self.ranker!r}, must be lambdamart or dcn")
        self._require(("candidates", "list_length", "folds"), 2, math.inf)
        self._require(("groups", "trees", "leaf_rows", "threads"), 1, math.inf)
        self._require(("depth",), 1, 8)
        self._require(("blend_weight",), 0, 1000)
        if not 0 < self.learning_rate <= 1:
            raise ValueError(f"learning_rate is {self.learning_rate}, must be above 0, at most 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class PopularityConfig(FitConfig):
    """Nothing to be told."""

    def __post_init__(self) -> None:
        FitConfig.__post_init__(self)
        self._require_one_epoch()


FIT_CONFIGS: Final[dict[str, type[FitConfig]]] = {
    "collaborative": CollaborativeConfig,
    "content": ContentConfig,
    "history": HistoryConfig,
    "history-softmax": HistorySoftmaxConfig,
    "hybrid": HybridConfig,
    "popularity": PopularityConfig,
    "ranking": RankingConfig,
    "textbook": TextbookConfig,
}
"""The families by name, with what each can be told."""
