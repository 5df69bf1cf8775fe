"""Trains, evaluates and exports recommender models for recserve.

TensorFlow Recommenders 0.7.7 refuses Keras 3, so the legacy Keras is chosen here, before
anything of this package can import TensorFlow.
"""

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"
