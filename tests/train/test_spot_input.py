"""What SPOT's training reads: which videos count, and bad input."""

import json
import shutil

import numpy as np
import pytest
import torch

from ssdet.config import canonical_json
from ssdet.stage import StageError
from ssdet.train import pretrain_spot
from ssdet.train.checkpoint import load_checkpoint
from tests.train.spot_runs import (
    RECIPE,
    VIDEOS,
    arguments,
    pretrain,
    small,
    train,
)


def test_trained_on_the_labelled_alone(spot_folder, tmp_path):
    """What the other videos show changes nothing; the number of steps is the same."""
    split = tmp_path / "split.csv"
    marks = [f"v{n:02d},{int(n >= 4)}" for n in range(VIDEOS)]
    split.write_text("\n".join(["video,0.5", *marks]) + "\n")
    copy = tmp_path / "set"
    shutil.copytree(spot_folder, copy)
    for number in range(4, VIDEOS):
        path = copy / "features" / f"v{number:02d}.npy"
        np.save(path, -np.load(path))
    weights, steps = {}, {}
    for used in (True, False):
        section = small(train__unlabelled=used, train__keep="last")
        for source in (spot_folder, copy):
            out = tmp_path / f"{used}_{source.name}.pt"
            train(source, out, section, split=split)
            content = load_checkpoint(out)
            assert content["config"]["train"]["unlabelled"] is used
            weights[used, source] = content["weights"]["class_branch.weight"]
            rows = out.with_suffix(".jsonl").read_text().splitlines()
            steps[used, source] = json.loads(rows[-1])["step"]
    assert torch.equal(weights[False, spot_folder], weights[False, copy])
    assert not torch.equal(weights[True, spot_folder], weights[True, copy])
    assert len(set(steps.values())) == 1


def test_missing_features_are_counted(spot_folder, tmp_path):
    copy = tmp_path / "set"
    shutil.copytree(spot_folder, copy)
    (copy / "features" / "v03.npy").unlink()
    with pytest.raises(ValueError, match="1 of 12 videos have no features: v03"):
        pretrain(copy, tmp_path / "a.pt", small())
    assert not (tmp_path / "a.pt").exists()
    pretrain(copy, tmp_path / "a.pt", small(), missing=0.1)
    config = load_checkpoint(tmp_path / "a.pt")["config"]
    assert config["videos"] == {"with_features": 11, "without_features": 1}


def test_bad_input(spot_folder, spot_pretrained, tmp_path):
    out = tmp_path / "a.pt"
    with pytest.raises(ValueError, match=r"12 of 12 videos are not \(any, 31\)"):
        pretrain(spot_folder, out, small(features__width=31))
    with pytest.raises(StageError, match=r"no checkpoint at .*nothing\.pt"):
        train(spot_folder, out, small(), init=tmp_path / "nothing.pt")
    with pytest.raises(StageError, match="do not fit this network"):
        train(spot_folder, out, small(network__mask_hidden=8), init=spot_pretrained)
    with pytest.raises(StageError, match="0 % of the labels cannot be used"):
        train(spot_folder, out, small(), labelled=0)
    assert not out.exists()


def test_nothing_to_choose_on(spot_folder, tmp_path):
    section = small(pretrain__keep="best")
    cfg = section.pretrain.canonical()
    given = arguments(spot_folder, tmp_path / "a.pt", section, "--pretrain", cfg)
    given[given.index("--validation") + 1] = canonical_json({"fraction": 0.0})
    with pytest.raises(StageError, match=r"spot\.pretrain\.keep is best, but no video"):
        pretrain_spot.main(given)


def test_segments_that_cannot_be_are_refused(spot_folder, tmp_path):
    given = arguments(
        spot_folder,
        tmp_path / "a.pt",
        small(),
        *("--pretrain", small().pretrain.canonical()),
    )
    strict = canonical_json(RECIPE | {"segments": "refuse"})
    given[given.index("--dataset") + 1] = strict
    with pytest.raises(ValueError, match="past the end, the video has 20 s"):
        pretrain_spot.main(given)
