"""From a dataset's name to its users, items and interactions."""

from recserve_trainer.config import DatasetConfig
from recserve_trainer.datasets.movielens import load_prepared
from recserve_trainer.datasets.tabular.reading import load_tabular
from recserve_trainer.interactions import Dataset
from recserve_trainer.progress import Progress


def load_dataset(config: DatasetConfig, progress: Progress) -> Dataset:
    """Reads the dataset that `config` names, from wherever such datasets are.

    Raises:
        DatasetError: it is not there, cannot be prepared, or is broken.
    """
    if config.tables is not None:
        return load_tabular(config, progress)
    return load_prepared(config, progress)
