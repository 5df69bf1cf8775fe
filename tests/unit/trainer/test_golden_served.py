"""What a server answers golden queries with: what golden.json says, for every kind of model."""

import importlib.util
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from golden_world import (
    HASTY,
    answers_of_a_server,
    array_artifact,
    overlaps,
    read_golden,
)
from published_world import NAME, add_items, publish_world
from worlds import make_world

from recserve_trainer.artifact.export import Artifact, publish
from recserve_trainer.artifact.manifest import Origin, manifest_of
from recserve_trainer.families.ranking import RankingTraining
from recserve_trainer.fit_configs import RankingConfig
from recserve_trainer.interactions import Histories

pytestmark = pytest.mark.tensorflow

RANKING = RankingConfig(
    dimension=8,
    ials_dimension=4,
    ials_iterations=2,
    candidates=20,
    list_length=15,
    folds=3,
    trees=8,
    leaf_rows=10,
    threads=1,
)


def publish_two_stages(models_dir: Path) -> Path:
    world, split = make_world()
    training = RankingTraining(world, split, RANKING)
    training.run_epoch()
    model, seen = training.model(), Histories.rated(len(world.users), split.train)
    origin = Origin(name=NAME, family="ranking", arguments={})
    artifact = Artifact(
        model=model,
        users=world.users,
        histories=seen,
        items=world.items,
        train_counts=np.ones(len(world.items), np.int64),
        manifest=manifest_of(origin, model, world, split),
    )
    return publish(artifact, models_dir)


@pytest.fixture(scope="module", params=["hybrid", "ranking"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    models_dir = tmp_path_factory.mktemp("models")
    if request.param == "ranking":
        return publish_two_stages(models_dir)
    return publish_world(request.param, models_dir)


def test_a_server_answers_as_the_trainer_meant(folder: Path) -> None:
    golden = read_golden(folder)

    answers = answers_of_a_server(folder, golden)

    assert len(answers) == 40 + 16
    assert golden.overlap == 1
    assert min(overlaps(golden, answers)) == 1
    for query, answer in zip(golden.queries, answers, strict=True):
        assert [item.item_id for item in answer.items] == list(query.item_ids)
        served = [item.score for item in answer.items]
        assert served == pytest.approx(list(query.scores), rel=1e-3, abs=1e-3)


def test_a_version_from_before_there_were_golden_queries_still_answers(
    folder: Path, tmp_path: Path
) -> None:
    older = shutil.copytree(folder, tmp_path / NAME / "1")
    (older / "golden.json").unlink()
    manifest = json.loads((older / "manifest.json").read_text())
    manifest["files"] = [each for each in manifest["files"] if each["path"] != "golden.json"]
    (older / "manifest.json").write_text(json.dumps(manifest))
    golden = read_golden(folder)

    assert min(overlaps(golden, answers_of_a_server(older, golden))) == 1


@pytest.mark.long
def test_a_changed_catalogue_has_golden_queries_of_its_own(tmp_path: Path) -> None:
    publish_world("content", tmp_path)
    (tmp_path / "new.csv").write_text("item_id,kind\nn1,x\nn2,y\n")
    assert add_items(tmp_path, "--items", "new.csv", "--retire-id", "i1", "i2") == 0
    changed = tmp_path / NAME / "2"
    golden = read_golden(changed)

    answers = answers_of_a_server(changed, golden)

    assert min(overlaps(golden, answers)) == 1
    named = (changed / "golden.json").read_text()
    assert not re.search(r'"(i1|i2)"', named)
    assert '"n1"' in named


@pytest.mark.skipif(importlib.util.find_spec("scann") is None, reason="scann is not installed")
@pytest.mark.long
def test_an_approximate_index_finds_as_much_as_was_measured_at_export(tmp_path: Path) -> None:
    made = array_artifact(300, 3000, scann=HASTY)
    folder = publish(made, tmp_path)
    golden = read_golden(folder)

    found = overlaps(golden, answers_of_a_server(folder, golden))

    recall = json.loads((folder / "manifest.json").read_text())["index"]["recall_at_10"]
    assert 0.3 < golden.overlap < 0.95
    assert golden.overlap == pytest.approx(recall, abs=0.1)
    # The server asks in other batches, and beside others a query may find more.
    assert golden.overlap - 0.01 <= np.mean(found) < 1
    # What is expected is the best there is, found or not.
    vectors = made.model.embeddings
    for query in golden.queries:
        if query.user_id and query.include_seen:
            scores = vectors.items @ vectors.users[int(query.user_id[1:])]
            best = np.argsort(-scores, kind="stable")[:10].tolist()
            assert list(query.item_ids) == [f"i{item}" for item in best]
