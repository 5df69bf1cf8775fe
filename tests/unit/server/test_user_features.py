"""The server encodes users as the trainer did."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recserve.artifact.v1 import manifest_pb2
from recserve_server.answering.user_features import FeatureEncoder
from recserve_trainer.features import Feature, encode
from recserve_trainer.tables import Column

FEATURES = (
    Feature("job", "category", vocabulary=("cook", "none", "poet")),
    Feature("age", "number", mean=33.5, deviation=12.25),
    Feature("motto", "text", vocabulary=("carpe", "diem", "été")),
    Feature("height", "number"),
)
ENCODER = FeatureEncoder(
    manifest_pb2.Feature(
        name=each.name,
        kind=each.kind,
        vocabulary=each.vocabulary,
        mean=each.mean,
        deviation=each.deviation,
    )
    for each in FEATURES
)
TEXTS = st.sampled_from(["cook", "poet", "Cook", "astronaut", "Carpe DIEM!", "l'Été", ""])
USERS = st.fixed_dictionaries(
    {},
    optional={
        "job": TEXTS,
        "motto": TEXTS,
        "age": st.floats(0, 120),
        "height": st.floats(-5, 5),
        "shoe size": st.floats(0, 50),
    },
)


@given(USERS)
def test_a_user_is_encoded_as_in_training(user: dict[str, float | str]) -> None:
    columns = {
        feature.name: Column(
            feature.kind,
            pa.array(
                [user.get(feature.name)],
                pa.float64() if feature.kind == "number" else pa.string(),
            ),
        )
        for feature in FEATURES
    }

    [expected] = encode(FEATURES, columns, 1)

    assert ENCODER.width == len(expected)
    np.testing.assert_allclose(ENCODER.encode(user), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("user", "known"),
    [
        ({}, False),
        ({"job": "astronaut"}, False),
        ({"job": "poet"}, True),
        ({"motto": "seize the diem"}, True),
        ({"age": 3.0}, True),
        ({"shoe size": 3.0}, False),
        ({"job": ("astronaut", "cook")}, True),
    ],
    ids=str,
)
def test_it_is_known_whether_a_user_says_anything(
    user: dict[str, float | str | tuple[str, ...]], known: bool
) -> None:
    assert ENCODER.known(user) is known
    assert not math.isnan(ENCODER.encode(user).sum())
