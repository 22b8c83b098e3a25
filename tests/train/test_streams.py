"""From a pretrained checkpoint to predictions: fine, features, coarse_fine, predict."""

import json
import shutil

import h5py
import numpy as np
import pytest
import torch

from ssdet.data.annotations import Dataset, VideoRecord
from ssdet.data.feature_store import FeatureStore
from ssdet.data.predictions import Predictions
from ssdet.data.sampling import Timeline
from ssdet.evaluate import predict
from ssdet.features import extract
from ssdet.stage import StageError
from ssdet.train import checkpoint, coarse_fine, fine
from ssdet.train.checkpoint import load_checkpoint
from ssdet.train.detection import DetectionSet
from ssdet.train.setup import Videos, hold_out
from ssdet.train.weights import start_from
from ssdet.train.whole_video import coarse_fine_times


def test_fine_tuning_starts_from_the_pretraining_with_a_fresh_classifier(chain):
    content = load_checkpoint(chain / "fine.pt")
    before = load_checkpoint(chain / "pretrain.pt")
    assert len(content["classes"]) == 10
    assert content["weights"]["head.fc2.weight"].shape[0] == 10
    assert before["weights"]["head.fc2.weight"].shape[0] == 9
    rows = [json.loads(line) for line in (chain / "fine.jsonl").open()]
    assert 0 <= rows[-1]["val_map"] <= 1


def test_predictions_hold_each_test_video_at_clip_rate(chain, tiny):
    predictions = Predictions(chain / "fine.h5")
    assert len(predictions.video_ids) == tiny.config.synthetic.testing_videos
    logits, times = predictions[predictions.video_ids[0]]
    stride, fps = tiny.config.sampling.stride, tiny.config.datasets["charades"].fps
    frames = round((times[-1]) * fps) + 1  # aligned corners: the last is the last frame
    assert len(logits) == len(times) == -(-frames // stride)
    assert times[0] == 0


def test_two_stream_logits_are_four_for_each_bin(chain, tiny):
    predictions = Predictions(chain / "coarse_fine.h5")
    features = FeatureStore(chain / "testing")
    for video_id in predictions.video_ids:
        logits, _ = predictions[video_id]
        rows = features.info(video_id).length
        assert len(logits) == 4 * -(-rows // 4)


def test_cached_logits_are_the_detectors_own(chain):
    features = FeatureStore(chain / "testing")
    predictions = Predictions(chain / "fine.h5")
    video_id = predictions.video_ids[0]
    cached = features.logits(video_id)
    own = torch.from_numpy(predictions[video_id][0])
    rows = len(cached)
    if rows == len(own):  # else the last step was cut short: another clip length
        torch.testing.assert_close(torch.as_tensor(cached), own, atol=1e-5, rtol=1e-5)
    assert rows in (len(own), len(own) - 1)


def test_a_resumed_two_stream_run_ends_with_the_same_bytes(
    chain, tiny, tmp_path, monkeypatch
):
    out = tmp_path / "c.pt"
    arguments = tiny.coarse_fine(
        out, chain / "pretrain.pt", chain / "training", checkpoint_seconds=0
    )
    coarse_fine.main(arguments)
    expected = out.read_bytes()
    # The last state before the end, as a run that was killed then would leave it.
    out.unlink()
    with monkeypatch.context() as patch:
        patch.setattr("ssdet.train.run.finish_checkpoint", lambda *given: None)
        coarse_fine.main(arguments)
    assert any(checkpoint.resume_folder(out).glob("step-*.pt"))
    coarse_fine.main(arguments)
    assert out.read_bytes() == expected


def test_features_of_another_stride_are_refused(chain, tiny, tmp_path):
    folder = tmp_path / "training"
    shutil.copytree(chain / "training", folder)
    for path in folder.iterdir():
        with h5py.File(path, "a") as file:
            file.attrs["stride"] = 9
    arguments = tiny.coarse_fine(tmp_path / "c.pt", chain / "pretrain.pt", folder)
    with pytest.raises(ValueError, match=r"stride 9, sampling\.stride is 4"):
        coarse_fine.main(arguments)


def test_a_checkpoint_of_another_stage_or_class_list_is_refused(chain, tiny, tmp_path):
    with pytest.raises(StageError, match="checkpoint of pretrain, which has no detec"):
        predict.main(tiny.predict(tmp_path / "p.h5", chain / "pretrain.pt"))
    content = torch.load(chain / "fine.pt", weights_only=True)
    content["classes"] = content["classes"][:-1]
    torch.save(content, tmp_path / "few.pt")
    with pytest.raises(StageError, match=r"has 9 classes .* the data set has 10"):
        predict.main(tiny.predict(tmp_path / "p.h5", tmp_path / "few.pt"))
    assert not (tmp_path / "p.h5").exists()


def test_two_stream_predictions_need_features(chain, tiny, tmp_path):
    with pytest.raises(StageError, match="give the features of its fine stream"):
        predict.main(tiny.predict(tmp_path / "p.h5", chain / "coarse_fine.pt"))


def test_weights_of_another_network_are_refused_with_what_differs(
    chain, tiny, tmp_path
):
    content = torch.load(chain / "pretrain.pt", weights_only=True)
    del content["weights"]["backbone.conv5.weight"]
    torch.save(content, tmp_path / "damaged.pt")
    with pytest.raises(
        StageError, match=r"do not fit .*backbone\.conv5\.weight is missing"
    ):
        fine.main(tiny.fine(tmp_path / "f.pt", tmp_path / "damaged.pt"))


def test_held_out_videos_are_the_same_for_one_seed():
    records = tuple(VideoRecord(f"v{i}", 1.0, (), "training") for i in range(10))
    kept, held = hold_out(records, 0.3, seed=0)
    assert len(held) == 3
    assert set(kept) | set(held) == set(records)
    assert hold_out(records, 0.3, seed=0) == (kept, held)
    assert hold_out(records, 0.0, seed=0) == (records, ())
    assert len(hold_out(records, 0.99, seed=0)[0]) == 1


def test_scores_are_finite(chain):
    for name in ("fine.h5", "coarse_fine.h5"):
        predictions = Predictions(chain / name)
        assert all(np.isfinite(predictions[v][0]).all() for v in predictions.video_ids)


def test_a_video_of_a_single_sample_gets_two_stream_logits():
    timeline = Timeline(frames=3, duration_s=0.1, stride=10)
    times = coarse_fine_times(timeline, 4, "fixed")
    assert times.tolist() == pytest.approx([0, 1 / 9, 2 / 9, 1 / 3])


def test_choosing_needs_a_held_out_video_with_an_action(tiny):
    records = tuple(VideoRecord(f"v{i}", 1.0, (), "training") for i in range(2))
    videos = Videos(Dataset("mine", ("a",), records, {}), None, {})
    data = DetectionSet(videos, (), records[:1], None, None, 1)
    with pytest.raises(StageError, match=r"none of the 1 videos of mine .*\.keep to l"):
        data.check_choice("coarse_fine", "best")
    data.check_choice("coarse_fine", "last")


def test_shards_of_another_configuration_are_not_looked_at(chain, tiny, tmp_path):
    folder = tmp_path / "training"
    shutil.copytree(chain / "training", folder)
    (folder / "shard-099.h5").write_text("left by an older run")
    coarse_fine.main(tiny.coarse_fine(tmp_path / "c.pt", chain / "pretrain.pt", folder))
    ours, theirs = tmp_path / "c.pt", chain / "coarse_fine.pt"
    assert ours.read_bytes() == theirs.read_bytes()


def test_features_of_another_fine_model_are_refused(chain, tiny, tmp_path):
    folder = tmp_path / "testing"
    shutil.copytree(chain / "testing", folder)
    for path in folder.iterdir():
        with h5py.File(path, "a") as file:
            file.attrs["checkpoint_sha256"] = "0" * 64
    arguments = tiny.predict(tmp_path / "p.h5", chain / "coarse_fine.pt", folder)
    with pytest.raises(ValueError, match="checkpoint_sha256 0000"):
        predict.main(arguments)


def test_another_class_list_is_another_job(chain, tiny, tmp_path, monkeypatch):
    classes = tiny.folder / "synthetic" / "charades" / "Charades_v1_classes.txt"
    other = tmp_path / "classes.txt"
    other.write_text(classes.read_text() + "c010 One more\n")
    out = tmp_path / "f.pt"
    arguments = tiny.fine(out, chain / "pretrain.pt", checkpoint_seconds=0)
    with monkeypatch.context() as patch:
        patch.setattr("ssdet.train.run.finish_checkpoint", lambda *given: None)
        fine.main(arguments)
    arguments[arguments.index("--classes") + 1] = str(other)
    with pytest.raises(StageError, match=r"another job \(they differ in classes\)"):
        fine.main(arguments)


def test_only_trailing_axes_of_size_one_may_be_missing():
    model = torch.nn.Conv3d(2, 3, 1, bias=False)
    start_from(model, {"weight": torch.ones(3, 2)}, ("none",), "a linear layer")
    assert model.weight.sum() == 6
    with pytest.raises(StageError, match=r"weight is \(2, 3\), not \(3, 2, 1, 1, 1\)"):
        start_from(model, {"weight": torch.ones(2, 3)}, ("none",), "another")


def test_predictions_say_which_frames_a_two_stream_detector_kept(chain, tiny):
    """L + 1 of them, from the first sampled frame with a whole step to the last."""
    stride, fps = tiny.config.sampling.stride, tiny.config.datasets["charades"].fps
    features = FeatureStore(chain / "testing")
    predictions = Predictions(chain / "coarse_fine.h5")
    for video_id in predictions.video_ids:
        rows = features.info(video_id).length
        grid = predictions.sampling(video_id)
        assert len(grid.times_s) == -(-rows // 4) + 1
        assert grid.times_s[0] == 0
        assert grid.times_s[-1] == pytest.approx((rows - 1) * stride / fps, rel=1e-3)
        doubt = 1 - grid.confidence.astype(float)
        steps = np.diff(grid.times_s) / grid.times_s[-1]
        np.testing.assert_allclose(steps, doubt / doubt.sum(), atol=1e-5)
    assert Predictions(chain / "fine.h5").sampling(video_id) is None


def test_features_of_a_network_that_is_only_pretrained(chain, tiny, tmp_path):
    """It has seen no labels of these videos; its outputs are those of its own set."""
    out = tmp_path / "shard-000.h5"
    extract.main(tiny.extract(out, chain / "pretrain.pt", "training", 0))
    found, tuned = FeatureStore(tmp_path), FeatureStore(chain / "training")
    content = load_checkpoint(chain / "pretrain.pt")
    assert found.attributes["classes"] == list(content["classes"])
    assert found.attributes["classes"] != tuned.attributes["classes"]
    (first, *_) = found.video_ids
    length = found.info(first).length
    assert found.logits(first).shape == (length, len(content["classes"]))
    assert length == tuned.info(first).length
    maps = [each.read(first, 0, length, ["conv5"])["conv5"] for each in (found, tuned)]
    assert maps[0].shape == maps[1].shape and not torch.equal(*maps)
    with pytest.raises(ValueError, match="classes"):
        found.require(classes=tuned.attributes["classes"])


def test_a_pretrained_network_sees_videos_as_it_was_trained_to(chain, tiny, tmp_path):
    arguments = tiny.extract(tmp_path / "a.h5", chain / "pretrain.pt", "training", 0)
    place = arguments.index("--spatial") + 1
    arguments[place] = json.dumps({**json.loads(arguments[place]), "crop": 24})
    with pytest.raises(StageError, match="was trained with spatial"):
        extract.main(arguments)
