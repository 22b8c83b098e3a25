"""The coarse stream alone, from pretraining to predictions."""

import json

import numpy as np
import pytest
import torch

from ssdet.config import DatasetRecipe
from ssdet.data.frame_store import FrameStore
from ssdet.data.predictions import Predictions
from ssdet.evaluate import predict
from ssdet.train import coarse, pretrain
from ssdet.train.checkpoint import load_checkpoint
from ssdet.train.coarse import coarse_loss
from ssdet.train.losses import detection_loss

RECIPE = DatasetRecipe(
    format="table", fps=None, mean=(0, 0, 0), std=(1, 1, 1), segments="refuse"
)


@pytest.fixture(scope="module")
def chain(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("coarse")
    pretrain.main(tiny.pretrain(folder / "pretrain.pt"))
    coarse.main(tiny.coarse(folder / "coarse.pt", folder / "pretrain.pt"))
    predict.main(tiny.predict(folder / "coarse.h5", folder / "coarse.pt"))
    return folder


def test_it_has_grid_pool_and_no_fusion(chain):
    content = load_checkpoint(chain / "coarse.pt")
    start = load_checkpoint(chain / "pretrain.pt")["weights"]
    parts = {name.split(".")[0] for name in content["weights"]}
    assert content["stage"] == "coarse"
    assert parts == {"trunk", "grid_pool"}
    before = start["backbone.conv5.weight"]
    after = content["weights"]["trunk.backbone.conv5.weight"]
    assert not torch.equal(before, after)
    torch.testing.assert_close(before, after, atol=0.02, rtol=0)
    rows = [json.loads(line) for line in (chain / "coarse.jsonl").open()]
    assert 0 <= rows[-1]["val_map"] <= 1


def test_predictions_are_unpooled_and_say_which_frames_were_kept(chain, tiny):
    frames = FrameStore(tiny.folder / "charades" / "frames")
    predictions = Predictions(chain / "coarse.h5")
    for video_id in predictions.video_ids:
        steps = frames.info(video_id).frames // tiny.config.sampling.stride
        logits, _ = predictions[video_id]
        assert len(logits) == 4 * -(-steps // 4)
        assert np.isfinite(logits).all()
        assert len(predictions.sampling(video_id).confidence) == -(-steps // 4)


SECOND_HALF = (1.5, 0.5, -0.5, -1.5, -2.5, -3.5, -4, -4)


class Fixed(torch.nn.Module):
    """A network whose logits are given."""

    def __init__(self, logits):
        super().__init__()
        self.logits = logits

    def forward(self, video):
        return self.logits


@pytest.mark.parametrize(
    ("compat", "between"),
    [
        # four logits at frames 0, 4, 8 and 12 of a clip of 16
        ("fixed", [0, 1, 2, 3, 4, 3, 2, 1, 0, -1, -2, -3, -4, -4, -4, -4]),
        # each in the middle of its quarter
        ("reference", [0, 0, 0.5, 1.5, 2.5, 3.5, 3.5, 2.5, *SECOND_HALF]),
    ],
)
def test_the_loss_reads_logits_at_their_times(tiny, compat, between):
    cfg = tiny.config.coarse.model_copy(update={"compat": compat})
    labels = torch.zeros(1, 1, 16, dtype=torch.uint8)
    labels[:, :, 3:7] = 1
    batch = {
        "video": torch.zeros(1, 3, 4, 2, 2, dtype=torch.uint8),
        "valid": torch.ones(1, 4),
        "labels": labels,
        "mask": torch.ones(1, 16),
    }
    network = Fixed(torch.tensor([[[0.0, 4.0, 0.0, -4.0]]]))
    found = coarse_loss(RECIPE, cfg, 4, network, batch, 0, (0, 1))
    logits = torch.tensor([[between]])
    expected = detection_loss(logits, labels.float(), batch["mask"])[0]
    torch.testing.assert_close(found, expected)
