"""SlowFast_det and its slow stream alone, from pretraining to predictions."""

import json

import numpy as np
import pytest
import torch

from ssdet.config import DatasetRecipe
from ssdet.data.frame_store import FrameStore
from ssdet.data.predictions import Predictions
from ssdet.evaluate import predict
from ssdet.features import extract
from ssdet.stage import StageError
from ssdet.train import checkpoint, fine, pretrain, slow, slowfast
from ssdet.train.checkpoint import load_checkpoint
from ssdet.train.losses import detection_loss
from ssdet.train.slow import slow_loss

RECIPE = DatasetRecipe(
    format="table", fps=None, mean=(0, 0, 0), std=(1, 1, 1), segments="refuse"
)


@pytest.fixture(scope="module")
def chain(tiny, tmp_path_factory):
    """Folder with both models, and what they start from."""
    folder = tmp_path_factory.mktemp("slowfast")
    start, fast = folder / "pretrain.pt", folder / "fine.pt"
    pretrain.main(tiny.pretrain(start))
    fine.main(tiny.fine(fast, start))
    slow.main(tiny.slow(folder / "slow.pt", start))
    slowfast.main(tiny.slowfast(folder / "slowfast.pt", start, fast))
    for name in ("slow", "slowfast"):
        predict.main(tiny.predict(folder / f"{name}.h5", folder / f"{name}.pt"))
    return folder


def test_the_fast_stream_is_the_fine_tuned_one_and_stays_so(chain):
    weights = load_checkpoint(chain / "slowfast.pt")["weights"]
    fast = load_checkpoint(chain / "fine.pt")["weights"]
    streams = {name for name in fast if name.startswith("backbone.")}
    for name in streams:
        found = weights[name.replace("backbone", "fast")]
        assert torch.equal(found, fast[name]), name
    assert {name for name in weights if name.startswith("fast.")} == {
        name.replace("backbone", "fast") for name in streams
    }


def test_the_slow_stream_is_trained_from_the_pretraining(chain):
    start = load_checkpoint(chain / "pretrain.pt")["weights"]
    weights = load_checkpoint(chain / "slowfast.pt")["weights"]
    before, after = start["backbone.conv5.weight"], weights["slow.conv5.weight"]
    assert not torch.equal(before, after)
    torch.testing.assert_close(before, after, atol=0.02, rtol=0)
    widened = weights["slow.stages.1.0.expand.weight"]
    joined = widened[:, start["backbone.stages.1.0.expand.weight"].shape[1] :]
    assert 0 < joined.abs().max() < 0.05  # it began as zeros


def test_checkpoints_say_what_they_were_made_from(chain, tiny):
    content = load_checkpoint(chain / "slowfast.pt")
    assert set(content["parents"]) == {"inventory", "training", "init", "fast_init"}
    assert (content["config"]["slow"], content["config"]["fast"]) == ("freeze",) * 2
    for name in ("slow", "slowfast"):
        content = load_checkpoint(chain / f"{name}.pt")
        assert content["stage"] == name
        rows = [json.loads(line) for line in (chain / f"{name}.jsonl").open()]
        assert 0 <= rows[-1]["val_map"] <= 1


@pytest.mark.parametrize("name", ["slow", "slowfast"])
def test_predictions_are_of_every_fourth_frame(chain, tiny, name):
    stride, fps = tiny.config.sampling.stride, tiny.config.datasets["charades"].fps
    frames = FrameStore(tiny.folder / "charades" / "frames")
    predictions = Predictions(chain / f"{name}.h5")
    assert len(predictions) == tiny.config.synthetic.testing_videos
    for video_id in predictions.video_ids:
        logits, times = predictions[video_id]
        whole_steps = frames.info(video_id).frames // stride
        assert len(logits) == -(-whole_steps // 4)
        expected = np.arange(len(logits)) * 4 * stride / fps
        np.testing.assert_allclose(times, expected, rtol=1e-3)
        assert np.isfinite(logits).all()
        assert predictions.sampling(video_id) is None


def test_a_resumed_run_ends_with_the_same_bytes(chain, tiny, tmp_path, monkeypatch):
    out = tmp_path / "s.pt"
    arguments = tiny.slowfast(
        out, chain / "pretrain.pt", chain / "fine.pt", checkpoint_seconds=0
    )
    with monkeypatch.context() as patch:
        patch.setattr("ssdet.train.run.finish_checkpoint", lambda *given: None)
        slowfast.main(arguments)
    assert any(checkpoint.resume_folder(out).glob("step-*.pt"))
    slowfast.main(arguments)
    assert out.read_bytes() == (chain / "slowfast.pt").read_bytes()


def test_blocks_computed_twice_give_the_same_weights(chain, tiny, tmp_path):
    out = tmp_path / "s.pt"
    arguments = tiny.slowfast(out, chain / "pretrain.pt", chain / "fine.pt")
    slowfast.main([*arguments, "--activation-checkpointing"])
    expected = load_checkpoint(chain / "slowfast.pt")["weights"]
    for name, tensor in load_checkpoint(out)["weights"].items():
        torch.testing.assert_close(tensor, expected[name], msg=name)


def test_a_running_average_keeps_the_fast_stream(chain, tiny, tmp_path):
    out = tmp_path / "s.pt"
    arguments = tiny.slowfast(out, chain / "pretrain.pt", chain / "fine.pt")
    place = arguments.index("--slowfast") + 1
    arguments[place] = json.dumps(json.loads(arguments[place]) | {"ema": 0.9})
    slowfast.main(arguments)
    weights = load_checkpoint(out)["weights"]
    fast = load_checkpoint(chain / "fine.pt")["weights"]
    plain = load_checkpoint(chain / "slowfast.pt")["weights"]
    for name in (name for name in fast if name.startswith("backbone.")):
        assert torch.equal(weights[name.replace("backbone", "fast")], fast[name]), name
    assert not torch.equal(weights["head.fc2.weight"], plain["head.fc2.weight"])


@pytest.mark.parametrize(
    ("fast", "message"),
    [
        ("slow", r"\(--fast-init\) is a checkpoint of slow; .* of train_fine"),
        ("pretrain", "is a checkpoint of pretrain, which has no detector"),
        ("absent", r"no checkpoint at .*absent\.pt \(--fast-init\)"),
    ],
)
def test_another_fast_stream_is_refused(chain, tiny, tmp_path, fast, message):
    out, start = tmp_path / "s.pt", chain / "pretrain.pt"
    with pytest.raises(StageError, match=message):
        slowfast.main(tiny.slowfast(out, start, chain / f"{fast}.pt"))
    assert not out.exists()


@pytest.mark.parametrize("name", ["slow", "slowfast"])
def test_features_do_not_come_from_slow_streams(chain, tiny, tmp_path, name):
    given = tiny.extract(tmp_path / "f.h5", chain / f"{name}.pt", "training", 0)
    with pytest.raises(StageError, match=f"checkpoint of {name}; features come from"):
        extract.main(given)


class Fixed(torch.nn.Module):
    """A network whose logits are given."""

    def __init__(self, logits):
        super().__init__()
        self.logits = logits

    def forward(self, video):
        return self.logits


def test_the_loss_reads_logits_at_their_frames():
    """Frames 0 to 9 of a clip, of which 0, 4 and 8 have logits."""
    logits = torch.tensor([[[0.0, 4.0, -4.0]]])
    batch = {
        "video": torch.zeros(1, 3, 3, 2, 2, dtype=torch.uint8),
        "valid": torch.ones(1, 3),
        "labels": torch.tensor([[[0, 0, 1, 1, 1, 1, 0, 0, 0, 0]]], dtype=torch.uint8),
        "mask": torch.ones(1, 10),
    }
    found = slow_loss(RECIPE, 4, Fixed(logits), batch, 0, (0, 1))
    between = torch.tensor([[[0.0, 1, 2, 3, 4, 2, 0, -2, -4, -4]]])
    expected = detection_loss(between, batch["labels"].float(), batch["mask"])[0]
    torch.testing.assert_close(found, expected)


def test_a_clip_of_a_single_frame():
    batch = {
        "video": torch.zeros(1, 3, 1, 2, 2, dtype=torch.uint8),
        "valid": torch.ones(1, 1),
        "labels": torch.ones(1, 1, 3, dtype=torch.uint8),
        "mask": torch.ones(1, 3),
    }
    loss = slow_loss(RECIPE, 40, Fixed(torch.zeros(1, 1, 1)), batch, 0, (0, 1))
    assert loss.item() == pytest.approx(np.log(2))
