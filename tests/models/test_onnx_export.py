import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from ssdet import cli
from ssdet.augment import spatial
from ssdet.data.frame_store import FrameStore
from ssdet.data.predictions import Predictions
from ssdet.evaluate import predict
from ssdet.files import sha256
from ssdet.models import (
    build_coarse_fine,
    build_detector,
    build_end_to_end,
    build_slowfast,
)
from ssdet.models.detector import X3DDetector
from ssdet.models.onnx_export import export_onnx
from ssdet.train import fine, pretrain
from ssdet.train.checkpoint import load_checkpoint, save_checkpoint
from tests.tiny import tiny_config

pytest.importorskip("onnxscript", reason="the exporter of PyTorch needs onnxscript")
onnxruntime = pytest.importorskip("onnxruntime", reason="runs the exported files")

ROOT = Path(__file__).resolve().parents[2]
CROP = 33  # odd, so that a wrong padding shows


def network(cls=X3DDetector):
    torch.manual_seed(0)
    model = cls(
        depth_factor=0.4,  # stages of several blocks, gated ones and others
        width_factor=0.5,
        head_width=16,
        classes=5,
        dropout=0.5,
        mode="loc",
    ).eval()
    for name, tensor in model.state_dict().items():
        if "running_mean" in name or name.endswith("norm.bias"):
            tensor.normal_()
        elif "running_var" in name:
            tensor.uniform_(0.5, 1.5)
    return model


def session(path):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def shapes(path):
    opened = session(path)
    (video,), (logits,) = opened.get_inputs(), opened.get_outputs()
    assert (video.name, video.type) == ("video", "tensor(float)")
    assert (logits.name, logits.type) == ("logits", "tensor(float)")
    return video.shape, logits.shape


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A network and its file, with free time."""
    model = network()
    path = tmp_path_factory.mktemp("exported") / "detector.onnx"
    difference = export_onnx(model, path, CROP, None, {"classes": '["é", "b"]'})
    assert difference <= 1e-4
    return model, path


@pytest.mark.parametrize(("batch", "frames"), [(1, 1), (1, 7), (2, 4), (5, 2)])
def test_any_batch_and_length_give_the_same_logits(exported, batch, frames):
    model, path = exported
    video = torch.randn(batch, 3, frames, CROP, CROP)
    (logits,) = session(path).run(None, {"video": video.numpy()})
    with torch.no_grad():
        expected = model(video)
    torch.testing.assert_close(torch.from_numpy(logits), expected, atol=1e-5, rtol=0)
    assert logits.shape == (batch, 5, frames)
    assert np.ptp(logits) > 0.01  # it does look at the video, so equality says a lot


def test_batch_and_time_are_free_and_space_is_fixed(exported):
    video, logits = shapes(exported[1])
    assert video == ["batch", 3, "time", CROP, CROP]
    assert logits == ["batch", 5, "time"]


def test_metadata_is_kept_and_nothing_of_this_machine(exported):
    facts = session(exported[1]).get_modelmeta().custom_metadata_map
    assert facts == {"classes": '["é", "b"]'}
    assert str(ROOT).encode() not in exported[1].read_bytes()
    assert os.listdir(exported[1].parent) == ["detector.onnx"]


def test_the_same_network_gives_the_same_bytes(exported, tmp_path):
    export_onnx(network(), tmp_path / "a.onnx", CROP, None, {"classes": '["é", "b"]'})
    assert (tmp_path / "a.onnx").read_bytes() == exported[1].read_bytes()


@pytest.mark.parametrize("frames", [1, 6])
def test_time_can_be_fixed(frames, tmp_path):
    export_onnx(network(), tmp_path / "a.onnx", CROP, frames, {})
    video, logits = shapes(tmp_path / "a.onnx")
    assert video == ["batch", 3, frames, CROP, CROP]
    assert logits == ["batch", 5, frames]


class OtherWhenExported(X3DDetector):
    """What a faulty exporter gives: other numbers than the network."""

    def forward(self, video, *more):
        logits = super().forward(video, *more)
        return logits + 0.001 if torch.compiler.is_exporting() else logits


class OneFrameWhenExported(X3DDetector):
    def forward(self, video, *more):
        logits = super().forward(video, *more)
        return logits[:, :, :1] if torch.compiler.is_exporting() else logits


def without_numbers(model):
    model.head.fc2.bias.data.fill_(float("nan"))
    return model


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            lambda: network(OtherWhenExported),
            r"differ .* by 0\.001, allowed is 0\.0001",
        ),
        (lambda: network(OneFrameWhenExported), "differ .* by inf"),
        (lambda: without_numbers(network()), "differ .* by nan"),
    ],
    ids=["other numbers", "another length", "not a number"],
)
def test_a_file_with_other_logits_is_not_written(model, message, tmp_path):
    (tmp_path / "a.onnx").write_text("before")
    with pytest.raises(ValueError, match=message):
        export_onnx(model(), tmp_path / "a.onnx", CROP, None, {})
    assert (tmp_path / "a.onnx").read_text() == "before"
    assert os.listdir(tmp_path) == ["a.onnx"]


def test_what_cannot_be_meant_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.onnx, got .*a\.pt"):
        export_onnx(network(), tmp_path / "a.pt", CROP, None, {})
    with pytest.raises(ValueError, match="--frames must be at least 1, got 0"):
        export_onnx(network(), tmp_path / "a.onnx", CROP, 0, {})
    assert not os.listdir(tmp_path)


def test_missing_packages_are_all_named(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "ssdet.models.onnx_export.util.find_spec",
        lambda name: object() if name == "onnx" else None,
    )
    with pytest.raises(
        ValueError, match=r"needs onnxruntime, onnxscript, .*pip install 'ssdet\[onnx\]"
    ):
        export_onnx(network(), tmp_path / "a.onnx", CROP, None, {})


def checkpoint(path, stage):
    """A checkpoint of fresh weights."""
    config = tiny_config()
    classes = ["c000", "c001", "c002"]
    if stage == "coarse_fine":
        model = build_coarse_fine(config.model, config.coarse_fine, len(classes))
    elif stage == "slowfast":
        model = build_slowfast(config.model, len(classes))
    elif stage == "end_to_end":
        model = build_end_to_end(config.model, config.end_to_end, len(classes), 7)
    else:
        model = build_detector(config.model, len(classes))
    sections = ("model", "spatial", "sampling", "coarse_fine", "end_to_end")
    found = {name: getattr(config, name).model_dump() for name in sections}
    content = {
        "stage": stage,
        "config": {
            **found,
            "dataset": config.datasets["charades"].without_paths(),
            "pool": 7,
        },
        "classes": classes,
        "weights": model.state_dict(),
    }
    save_checkpoint(path, content)
    return str(path)


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        (
            "coarse_fine",
            "checkpoint of coarse_fine, .* export a single-stream detector",
        ),
        ("slowfast", "checkpoint of slowfast, .* export a single-stream detector"),
        ("end_to_end", "checkpoint of end_to_end, .* export a single-stream detector"),
        ("pretrain", "is a checkpoint of pretrain, which has no detector"),
    ],
)
def test_only_single_stream_detectors_can_be_exported(stage, message, tmp_path, capsys):
    path = checkpoint(tmp_path / "other.pt", stage)
    assert cli.main(["export", path, str(tmp_path / "a.onnx")]) == 1
    assert re.search(message, capsys.readouterr().err)
    assert os.listdir(tmp_path) == ["other.pt"]


def test_a_slow_stream_says_how_far_apart_its_frames_are(tmp_path):
    out = str(tmp_path / "slow.onnx")
    path = checkpoint(tmp_path / "slow.pt", "slow")
    assert cli.main(["export", path, out, "--frames", "4"]) == 0
    facts = session(out).get_modelmeta().custom_metadata_map
    assert int(facts["stride"]) == 4 * tiny_config().sampling.stride


def test_no_checkpoint(tmp_path, capsys):
    out = str(tmp_path / "a.onnx")
    assert cli.main(["export", str(tmp_path / "absent.pt"), out]) == 1
    assert "no checkpoint at" in capsys.readouterr().err


def test_a_trained_detector_with_its_facts(tiny, tmp_path, capsys):
    """The file and its metadata alone give what the stage predict gives."""
    trained, out = tmp_path / "fine.pt", tmp_path / "fine.onnx"
    pretrain.main(tiny.pretrain(tmp_path / "pretrain.pt"))
    fine.main(tiny.fine(trained, tmp_path / "pretrain.pt"))
    predict.main(tiny.predict(tmp_path / "fine.h5", trained))
    assert cli.main(["export", str(trained), str(out)]) == 0
    assert "video (B, 3, T, 32, 32) to logits (B, 10, T)" in capsys.readouterr().out

    fixed = str(tmp_path / "fixed.onnx")
    assert cli.main(["export", str(trained), fixed, "--frames", "0"]) == 1
    assert "--frames must be at least 1, got 0" in capsys.readouterr().err
    assert cli.main(["export", str(trained), fixed, "--frames", "4"]) == 0
    assert shapes(fixed)[0] == ["batch", 3, 4, 32, 32]
    assert session(fixed).get_modelmeta().custom_metadata_map["frames"] == "4"

    opened = session(out)
    facts = opened.get_modelmeta().custom_metadata_map
    assert json.loads(facts["classes"]) == load_checkpoint(trained)["classes"]
    assert facts["checkpoint_sha256"] == sha256(trained)
    assert (facts["crop"], facts["stride"], facts["frames"]) == ("32", "4", "any")
    predictions = Predictions(tmp_path / "fine.h5")
    store = FrameStore(tiny.folder / "charades" / "frames")
    for video_id in predictions.video_ids:
        expected, _ = predictions[video_id]
        frames = range(0, store.info(video_id).frames, int(facts["stride"]))
        video = spatial.test_crop(store.read(video_id, frames), int(facts["crop"]))
        mean, std = json.loads(facts["mean"]), json.loads(facts["std"])
        (logits,) = opened.run(
            None, {"video": spatial.normalise(video, mean, std)[None].numpy()}
        )
        np.testing.assert_allclose(logits[0].T, expected, atol=1e-4)
