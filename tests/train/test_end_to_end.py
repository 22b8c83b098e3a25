"""Coarse-Fine trained end to end, from pretraining to predictions."""

import json
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from ssdet.config import DatasetRecipe
from ssdet.data.clips import Shape, collate
from ssdet.data.frame_store import FrameStore
from ssdet.data.predictions import Predictions
from ssdet.evaluate import predict
from ssdet.features import extract
from ssdet.models import build_end_to_end
from ssdet.models.sub_batch_norm import norms, set_part, set_splits
from ssdet.randomness import generator
from ssdet.stage import StageError
from ssdet.train import checkpoint, detection, end_to_end, fine, pretrain
from ssdet.train.checkpoint import load_checkpoint
from ssdet.train.coarse_fine import unpooled_loss
from ssdet.train.end_to_end import TwoClips, end_to_end_loss
from ssdet.train.losses import detection_loss

RECIPE = DatasetRecipe(
    format="table", fps=None, mean=(0, 0, 0), std=(1, 1, 1), segments="refuse"
)


@pytest.fixture(scope="module")
def chain(tiny, tmp_path_factory):
    """Folder with the model, and what it starts from."""
    folder = tmp_path_factory.mktemp("end_to_end")
    start, stream = folder / "pretrain.pt", folder / "fine.pt"
    pretrain.main(tiny.pretrain(start))
    fine.main(tiny.fine(stream, start))
    end_to_end.main(tiny.end_to_end(folder / "both.pt", start, stream))
    predict.main(tiny.predict(folder / "both.h5", folder / "both.pt"))
    return folder


def changed(arguments, section, **values):
    """Arguments with some values of a section changed."""
    place = arguments.index(f"--{section}") + 1
    text = json.dumps(json.loads(arguments[place]) | values)
    return [*arguments[:place], text, *arguments[place + 1 :]]


def test_both_streams_are_trained_from_where_they_start(chain):
    weights = load_checkpoint(chain / "both.pt")["weights"]
    name = "backbone.conv5.weight"
    for start, stream in (("pretrain", "coarse.trunk"), ("fine", "fine")):
        before = load_checkpoint(chain / f"{start}.pt")["weights"][name]
        after = weights[f"{stream}.{name}"]
        assert not torch.equal(before, after), stream
        torch.testing.assert_close(before, after, atol=0.02, rtol=0)


def test_the_checkpoint_says_what_it_was_made_from(chain, tiny):
    content = load_checkpoint(chain / "both.pt")
    assert content["stage"] == "end_to_end"
    assert set(content["parents"]) == {"inventory", "training", "init", "fine_init"}
    found = [content["config"][name] for name in ("coarse", "fine", "pool")]
    assert found == ["freeze", "freeze", tiny.config.features.pool]
    rows = [json.loads(line) for line in (chain / "both.jsonl").open()]
    assert 0 <= rows[-1]["val_map"] <= 1


def test_predictions_are_unpooled_and_say_which_frames_were_kept(chain, tiny):
    frames = FrameStore(tiny.folder / "charades" / "frames")
    predictions = Predictions(chain / "both.h5")
    assert len(predictions) == tiny.config.synthetic.testing_videos
    for video_id in predictions.video_ids:
        steps = frames.info(video_id).frames // tiny.config.sampling.stride
        assert steps > tiny.config.end_to_end.test_fine_frames
        logits, _ = predictions[video_id]
        assert len(logits) == 4 * -(-steps // 4)
        assert np.isfinite(logits).all()
        assert len(predictions.sampling(video_id).confidence) == -(-steps // 4)


def test_a_resumed_run_ends_with_the_same_bytes(chain, tiny, tmp_path, monkeypatch):
    out = tmp_path / "b.pt"
    arguments = tiny.end_to_end(
        out, chain / "pretrain.pt", chain / "fine.pt", checkpoint_seconds=0
    )
    with monkeypatch.context() as patch:
        patch.setattr("ssdet.train.run.finish_checkpoint", lambda *given: None)
        end_to_end.main(arguments)
    assert any(checkpoint.resume_folder(out).glob("step-*.pt"))
    end_to_end.main(arguments)
    assert out.read_bytes() == (chain / "both.pt").read_bytes()


def test_blocks_computed_twice_give_the_same_bytes(chain, tiny, tmp_path):
    out = tmp_path / "b.pt"
    arguments = tiny.end_to_end(out, chain / "pretrain.pt", chain / "fine.pt")
    end_to_end.main([*arguments, "--activation-checkpointing"])
    assert out.read_bytes() == (chain / "both.pt").read_bytes()


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ("both", r"\(--fine-init\) is a checkpoint of end_to_end; .* of train_fine"),
        ("pretrain", "is a checkpoint of pretrain, which has no detector"),
        ("absent", r"no checkpoint at .*absent\.pt \(--fine-init\)"),
    ],
)
def test_another_fine_stream_is_refused(chain, tiny, tmp_path, start, message):
    out = tmp_path / "b.pt"
    with pytest.raises(StageError, match=message):
        end_to_end.main(
            tiny.end_to_end(out, chain / "pretrain.pt", chain / f"{start}.pt")
        )
    assert not out.exists()


def test_another_view_than_the_fine_streams_is_refused(chain, tiny, tmp_path):
    arguments = tiny.end_to_end(
        tmp_path / "b.pt", chain / "pretrain.pt", chain / "fine.pt"
    )
    with pytest.raises(StageError, match=r"was trained with sampling = .* train it"):
        end_to_end.main(changed(arguments, "sampling", stride=5))


def test_features_do_not_come_from_both_streams(chain, tiny, tmp_path):
    given = tiny.extract(tmp_path / "f.h5", chain / "both.pt", "training", 0)
    with pytest.raises(StageError, match="checkpoint of end_to_end; features come"):
        extract.main(given)


# ------------------------------------------------------------------------------- clips


@pytest.fixture(scope="module")
def training(tiny, tmp_path_factory):
    arguments = tiny.end_to_end(tmp_path_factory.mktemp("x") / "x.pt", "x", "x")
    return detection.open_training(end_to_end.arguments().parse_args(arguments))


def clips_of(training, tiny, **values):
    cfg = tiny.config.end_to_end.model_copy(update=values)
    return TwoClips(training.clips, cfg), Shape(2, cfg.frames, 32, 1)


def test_both_clips_show_the_same_part_of_the_frames(training, tiny):
    """Where they hold the same source frame, it is the same picture."""
    clips, shape = clips_of(training, tiny, fine_frames=20)
    shared = 0
    for draw in range(12):
        item = clips.item(0, shape, generator(draw))
        start = item["start"].item()
        assert start >= 0
        if start % 1:
            continue
        seen = item["fine_video"][:, int(start) :][:, : shape.frames]
        shared += seen.shape[1]
        assert torch.equal(seen, item["video"][:, : seen.shape[1]])
        labels = item["fine_labels"][:, int(start) * clips.clips.stride :]
        length = min(labels.shape[1], item["labels"].shape[1])
        assert torch.equal(labels[:, :length], item["labels"][:, :length])
    assert shared > 0


def test_a_start_between_two_fine_frames(training, tiny):
    """Exact; the reference's is the frame before."""
    exact, shape = clips_of(training, tiny)
    whole, _ = clips_of(training, tiny, compat="reference")
    starts = [
        [c.item(0, shape, generator(draw))["start"].item() for draw in range(12)]
        for c in (exact, whole)
    ]
    assert [np.floor(start) for start in starts[0]] == starts[1]
    assert any(start % 1 for start in starts[0])


def test_a_video_shorter_than_its_clips(training, tiny):
    clips, shape = clips_of(training, tiny, frames=500, fine_frames=600)
    item = clips.item(0, shape, generator(0))
    timeline = clips.clips.timeline(0)
    assert item["start"] == 0
    assert item["video"].shape[1] == item["fine_video"].shape[1] == timeline.samples
    assert len(item["fine_mask"]) == item["fine_labels"].shape[1] == timeline.frames
    long = clips.item(0, Shape(2, 500, 32, 1), generator(0))
    valid = collate([item, long])["fine_mask"][:, :: timeline.stride]
    assert valid.shape == (2, timeline.samples)


# -------------------------------------------------------------------------------- loss


class Fixed(torch.nn.Module):
    """A network whose logits are given, and which keeps what it is given."""

    def __init__(self, *logits):
        super().__init__()
        self.logits = logits

    def forward(self, *given):
        self.given = given
        return self.logits


@pytest.mark.parametrize("weight", [0.0, 1.0, 0.5])
def test_the_loss_is_the_coarse_one_and_some_of_the_fine_one(tiny, weight):
    """A fine clip of two frames, of which the last two source frames are padding."""
    fine_logits = torch.tensor([[[0.0, 4.0]]])
    network = Fixed(torch.tensor([[[1.0, -1.0, 2.0, 0.0]]]), fine_logits)
    batch = {
        "video": torch.full((1, 3, 2, 2, 2), 255, dtype=torch.uint8),
        "valid": torch.ones(1, 2),
        "labels": torch.tensor([[[0, 1, 1, 1]]], dtype=torch.uint8),
        "mask": torch.ones(1, 4),
        "fine_video": torch.full((1, 3, 2, 2, 2), 255, dtype=torch.uint8),
        "fine_labels": torch.tensor([[[0, 1, 0, 0]]], dtype=torch.uint8),
        "fine_mask": torch.tensor([[1.0, 1.0, 0.0, 0.0]]),
        "start": torch.tensor([0.5]),
    }
    cfg = tiny.config.end_to_end.model_copy(update={"fine_loss_weight": weight})
    found = end_to_end_loss(RECIPE, cfg, 2, network, batch, 0, (0, 1))
    resized = torch.tensor([[[0.0, 1.0, 3.0, 4.0]]])  # half-pixel centres
    own = detection_loss(resized, batch["fine_labels"].float(), batch["fine_mask"])[0]
    expected = unpooled_loss(network.logits[0], batch, "fixed", 2) + weight * own
    torch.testing.assert_close(found, expected)
    video, fine_video, mask, start = network.given
    assert mask.tolist() == [[1, 0]] and start.item() == 0.5
    assert video.min() == 1
    assert fine_video[:, :, 0].min() == 1 and fine_video[:, :, 1].max() == 0


def test_parts_of_a_batch_add_up_to_it(training, tiny):
    """Gradients of both streams in double precision, each clip a group of its own."""
    clips, shape = clips_of(training, tiny)
    batch = collate([clips.item(n, shape, generator(n)) for n in (0, 1)])
    section = tiny.config.model.model_copy(update={"dropout": 0.0})
    classes = len(training.classes)
    found = []
    for parts in (1, 2):
        torch.manual_seed(0)
        model = build_end_to_end(section, clips.cfg, classes, 2).double().train()
        for norm in norms(model):  # a clip that is a group has no other mean
            nn.init.normal_(norm.bias)
        set_splits(model, 2)
        for part in range(parts):
            set_part(model, part, parts)
            loss = end_to_end_loss(
                training.recipe,
                clips.cfg,
                training.stride,
                partial(in_double, model),
                {name: x[part::parts] for name, x in batch.items()},
                0,
                (part, parts),
            )
            (loss / parts).backward()
        found.append({name: p.grad for name, p in model.named_parameters()})
    for name, gradient in found[0].items():
        assert gradient.abs().max() > 0, name
        torch.testing.assert_close(found[1][name], gradient)


def in_double(model, *given):
    return model(*(x.double() for x in given))
