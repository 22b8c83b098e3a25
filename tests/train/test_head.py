"""The stage head: training on cached features, resuming, predicting."""

import json
import shutil

import h5py
import numpy as np
import pytest
import torch

from ssdet.data.feature_store import FeatureStore
from ssdet.data.predictions import Predictions
from ssdet.evaluate import ensemble, predict
from ssdet.features import extract
from ssdet.stage import StageError
from ssdet.train import fine, head, pretrain
from ssdet.train.checkpoint import load_checkpoint
from tests.train.test_distributed import assert_same_weights, two_processes


@pytest.fixture(scope="module")
def features(tiny, tmp_path_factory):
    """Folder with the features of both splits."""
    folder = tmp_path_factory.mktemp("features")
    pretrain.main(tiny.pretrain(folder / "pretrain.pt"))
    fine.main(tiny.fine(folder / "fine.pt", folder / "pretrain.pt"))
    for split in ("training", "testing"):
        for shard in range(tiny.shards):
            out = folder / split / f"shard-{shard:03d}.h5"
            extract.main(tiny.extract(out, folder / "fine.pt", split, shard))
    return folder


@pytest.fixture(scope="module")
def trained(tiny, features, tmp_path_factory):
    """A checkpoint of Super-Events whose training watched the test videos."""
    out = tmp_path_factory.mktemp("head") / "se.pt"
    arguments = tiny.head(out, features / "training", changes={"watch_test": True})
    head.main([*arguments, "--test-features-dir", str(features / "testing")])
    return out


@pytest.mark.parametrize("name", ["linear", "se", "tgm_se", "pdan", "ms_tct"])
def test_every_head_learns_the_training_videos(tiny, features, tmp_path, name):
    """Sixty epochs on three videos: the loss falls to less than a half."""
    training = tiny.config.head.section(name, "charades").training
    training = training.model_copy(
        update={"epochs": 60, "batch_size": 3, "learning_rate": 0.02}
    )
    out = tmp_path / f"{name}.pt"
    head.main(
        tiny.head(out, features / "training", name, changes={"training": training})
    )
    rows = [json.loads(line) for line in out.with_suffix(".jsonl").open()]
    losses = [row["loss"] for row in rows if "loss" in row]
    assert np.mean(losses[-5:]) < 0.5 * losses[0]
    content = load_checkpoint(out)
    assert content["config"]["head_name"] == name
    assert content["epochs"]["last"]["epoch"] == 60


@pytest.mark.parametrize("name", ["linear", "se", "tgm_se", "pdan", "ms_tct"])
def test_every_head_trains_in_half_precision(tiny, features, tmp_path, name):
    """As on a GPU; the loss is near that of full precision."""
    losses = []
    for precision in ("fp32", "bf16"):
        out = tmp_path / f"{precision}.pt"
        arguments = tiny.head(out, features / "training", name)
        head.main([*arguments, "--precision", precision])
        rows = [json.loads(line) for line in out.with_suffix(".jsonl").open()]
        losses.append([row["loss"] for row in rows if "loss" in row])
    full, half = losses
    assert half != full
    assert half[0] == pytest.approx(full[0], rel=0.02)


def test_the_checkpoint_holds_the_epochs_it_may_be_asked_for(trained):
    content = load_checkpoint(trained)
    epochs = content["epochs"]
    assert set(epochs) == {"last", "selected", "best_on_test"}
    assert epochs["last"]["epoch"] == 2
    assert content["weights"].keys() == epochs["selected"]["weights"].keys()
    for name, tensor in content["weights"].items():
        assert torch.equal(tensor, epochs["selected"]["weights"][name])
    rows = [json.loads(line) for line in trained.with_suffix(".jsonl").open()]
    measured = [row for row in rows if "val_loss" in row]
    assert len(measured) == 2
    lowest = min(range(2), key=lambda i: measured[i]["val_loss"])
    assert epochs["selected"]["epoch"] == lowest + 1
    lowest = min(range(2), key=lambda i: measured[i]["test_loss"])
    assert epochs["best_on_test"]["epoch"] == lowest + 1


def test_without_videos_set_aside_the_last_epoch_is_all_there_is(
    tiny, features, tmp_path
):
    out = tmp_path / "h.pt"
    arguments = tiny.head(out, features / "training")
    arguments[arguments.index("--validation") + 1] = '{"fraction":0}'
    head.main(arguments)
    assert set(load_checkpoint(out)["epochs"]) == {"last"}
    with pytest.raises(StageError, match=r"has no epoch selected, it has last; .*"):
        predict.main(
            tiny.predict(tmp_path / "p.h5", out, features / "testing", "selected")
        )


def test_predictions_are_made_at_the_steps(tiny, features, trained, tmp_path):
    store = FeatureStore(features / "testing")
    found = {}
    for epoch in ("selected", "last", "best_on_test"):
        out = tmp_path / f"{epoch}.h5"
        predict.main(tiny.predict(out, trained, features / "testing", epoch))
        found[epoch] = Predictions(out)
    predictions = found["selected"]
    assert predictions.video_ids == store.video_ids
    parents = set(predictions.provenance["parents"])
    labels = {"labels/training", "labels/testing", "labels/classes"}
    assert parents == {"checkpoint", "inventory", "features/shard-001.h5", *labels}
    for video_id in store.video_ids:
        logits, times = predictions[video_id]
        info = store.info(video_id)
        steps = info.length
        assert logits.shape == (steps, 10)
        expected = np.arange(steps) * info.duration_s / steps
        np.testing.assert_allclose(times, expected, rtol=1e-3)
    epochs = load_checkpoint(trained)["epochs"]
    same = epochs["selected"]["epoch"] == epochs["last"]["epoch"]
    first = store.video_ids[0]
    assert np.array_equal(found["last"][first][0], predictions[first][0]) == same


def test_a_resumed_run_ends_with_the_same_bytes(
    tiny, features, trained, tmp_path, monkeypatch
):
    out = tmp_path / "se.pt"
    arguments = [
        *tiny.head(
            out,
            features / "training",
            changes={"watch_test": True},
            checkpoint_seconds=0,
        ),
        *("--test-features-dir", str(features / "testing")),
    ]

    class Killed(Exception):
        pass

    def dies(self, network):
        if self.epoch == 1:
            raise Killed
        return measured(self, network)

    measured = head.Watch.validate
    monkeypatch.setattr(head.Watch, "validate", dies)
    with pytest.raises(Killed):
        head.main(arguments)
    monkeypatch.undo()
    assert any((tmp_path / "se.pt.resume").glob("step-*.pt"))
    head.main(arguments)
    assert out.read_bytes() == trained.read_bytes()


@pytest.mark.parametrize("name", ["se", "ms_tct"])
def test_two_processes_compute_what_one_does(tiny, features, tmp_path, name):
    section = tiny.config.head.section(name, "charades")
    still = {"network": section.network.model_copy(update={"dropout": 0.0})}
    one, two = tmp_path / "one.pt", tmp_path / "two.pt"
    head.main(tiny.head(one, features / "training", name, changes=still))
    arguments = tiny.head(two, features / "training", name, changes=still)
    two_processes("ssdet.train.head", arguments)
    assert_same_weights(one, two)
    epochs = [load_checkpoint(path)["epochs"] for path in (one, two)]
    assert epochs[0]["selected"]["epoch"] == epochs[1]["selected"]["epoch"]


def test_parts_of_a_batch_compute_what_it_does_at_once(tiny, features, tmp_path):
    still = tiny.config.head.section("se", "charades").network
    still = {"network": still.model_copy(update={"dropout": 0.0})}
    one, two = tmp_path / "one.pt", tmp_path / "two.pt"
    head.main(tiny.head(one, features / "training", changes=still))
    arguments = tiny.head(two, features / "training", changes=still)
    head.main([*arguments, "--accumulate", "2"])
    assert_same_weights(one, two)


def test_other_features_are_refused(tiny, features, trained, tmp_path):
    folder = tmp_path / "testing"
    shutil.copytree(features / "testing", folder)
    for path in folder.iterdir():
        with h5py.File(path, "a") as file:
            file.attrs["checkpoint_sha256"] = "0" * 64
    with pytest.raises(StageError, match="were not made as those that"):
        predict.main(tiny.predict(tmp_path / "p.h5", trained, folder, "last"))
    with pytest.raises(StageError, match="give the features of the test"):
        predict.main(tiny.predict(tmp_path / "p.h5", trained, "", "last"))


def test_missing_videos_are_named(tiny, features, tmp_path):
    folder = tmp_path / "training"
    folder.mkdir()
    np.save(folder / "nobody.npy", np.zeros((3, 1, 1, 4)))
    arguments = [*tiny.head(tmp_path / "h.pt", folder), "--external"]
    with pytest.raises(ValueError, match=r"4 of 4 videos have no features: .*exclude"):
        head.main(arguments)


def test_published_features_are_trained_on_and_predicted(tiny, features, tmp_path):
    """The conv5 map of our own store, in the published layout: the same training."""
    folder = tmp_path / "i3d"
    folder.mkdir()
    for split in ("training", "testing"):
        store = FeatureStore(features / split)
        for video_id in store.video_ids:
            steps = store.info(video_id).length
            maps = store.read(video_id, 0, steps, ["conv5"])["conv5"]
            rows = maps.float().mean((2, 3)).T[:, None, None]  # (F, 1, 1, D)
            np.save(folder / f"{video_id}.npy", rows.numpy())
    ours, theirs = tmp_path / "ours.pt", tmp_path / "theirs.pt"
    conv5 = {"features": "conv5"}
    head.main(tiny.head(ours, features / "training", changes=conv5))
    head.main([*tiny.head(theirs, folder, changes=conv5), "--external"])
    one, other = (load_checkpoint(path)["weights"] for path in (ours, theirs))
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name
    arguments = tiny.predict(tmp_path / "p.h5", theirs, folder, "last")
    predict.main([*arguments, "--external"])
    assert len(Predictions(tmp_path / "p.h5").video_ids) == 2


def test_watching_the_test_videos_needs_their_features(tiny, features, tmp_path):
    arguments = tiny.head(
        tmp_path / "h.pt", features / "training", changes={"watch_test": True}
    )
    with pytest.raises(StageError, match="give the features of the test videos"):
        head.main(arguments)


def test_heads_are_averaged_as_other_models(tiny, features, trained, tmp_path):
    """Two epochs stand for two pretexts."""
    paths = []
    for epoch in ("selected", "last"):
        out = tmp_path / f"{epoch}.h5"
        arguments = tiny.predict(out, trained, features / "testing", epoch)
        arguments[arguments.index("--model-name") + 1] = f"se_{epoch}"
        predict.main(arguments)
        paths.append(str(out))
    out = tmp_path / "e.json"
    ensemble.main(
        [
            *tiny.labels("charades"),
            *("--inventory", str(tiny.folder / "charades" / "inventory.csv")),
            *("--members", *paths, "--result-name", "se_ensemble", "--seed", "0"),
            *("--sections", "{}", "--out", str(out)),
        ]
    )
    result = json.loads(out.read_text())
    assert len(result["members"]) == 2
    assert 0 <= result["metrics"]["dense_map"] <= 1
