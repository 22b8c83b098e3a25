"""`ssdet predict` as one types it: the workflow's logits, for files of any name."""

import csv
import re
import shutil

import numpy as np
import pytest
import torch

from ssdet import cli
from ssdet.data.predictions import Predictions


@pytest.fixture
def videos(tiny, chain):
    """The files of the test videos."""
    folder = tiny.folder / "synthetic" / "charades" / "videos"
    with Predictions(chain / "fine.h5") as known:
        return [str(folder / f"{name}.mp4") for name in known.video_ids]


def predict(checkpoint, *more):
    return cli.main(["predict", str(checkpoint), *map(str, more), "--device", "cpu"])


@pytest.mark.parametrize("stage", ["fine", "coarse_fine"])
def test_it_says_what_the_workflow_says(chain, videos, tmp_path, capsys, stage):
    out, table = tmp_path / "new.h5", tmp_path / "new.csv"
    fine = ("--fine", chain / "fine.pt") if stage == "coarse_fine" else ()
    written = ("--logits", out, "--segments", table, "--threshold", 0)
    assert predict(chain / f"{stage}.pt", *videos, *written, *fine) == 0
    assert f"{len(videos)} videos" in capsys.readouterr().out
    with Predictions(chain / f"{stage}.h5") as known, Predictions(out) as new:
        assert new.video_ids == known.video_ids
        assert (new.classes, new.dataset) == (known.classes, "charades")
        assert new.checkpoint_sha256 == known.checkpoint_sha256
        read = {f"video/{name}" for name in known.video_ids}
        assert set(new.provenance["parents"]) == {"checkpoint", *read}
        for name in known.video_ids:
            assert np.array_equal(new[name][0], known[name][0])
            np.testing.assert_allclose(new[name][1], known[name][1], atol=0.01)
            assert (new.sampling(name) is None) == (known.sampling(name) is None)
    with table.open() as file:  # at a threshold of 0 every class fills every video
        rows = list(csv.DictReader(file))
    assert len(rows) == len(videos) * len(known.classes)
    assert {row["start_s"] for row in rows} == {"0.000"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.csv", "new.h5"]


def test_the_fine_stream_is_found_where_the_workflow_keeps_it(chain, videos, tmp_path):
    for stage, pair in (("fine", "freeze"), ("coarse_fine", "freeze_freeze")):
        home = tmp_path / "set" / stage / pair
        home.mkdir(parents=True)
        for ending in ("pt", "json"):
            shutil.copy(chain / f"{stage}.{ending}", home / f"checkpoint.{ending}")
    checkpoint = tmp_path / "set" / "coarse_fine" / "freeze_freeze" / "checkpoint.pt"
    assert predict(checkpoint, videos[0], "--segments", tmp_path / "a.csv") == 0


def test_what_cannot_be_read_is_named_and_the_rest_is_written(
    chain, videos, tmp_path, capsys
):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    table = tmp_path / "found.csv"
    assert predict(chain / "fine.pt", broken, videos[0], "--segments", table) == 1
    said = capsys.readouterr().err
    assert "1 of 2 videos cannot be read" in said and "broken.mp4" in said
    assert table.is_file() and "broken" not in table.read_text()


def test_without_a_single_readable_video_nothing_is_written(chain, tmp_path, capsys):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    out = tmp_path / "out" / "new.h5"
    assert predict(chain / "fine.pt", broken, "--logits", out) == 1
    assert "no video can be read" in capsys.readouterr().err
    assert not list(out.parent.iterdir())


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ([], "nothing to write: give --segments"),
        (["--segments", "a.csv", "--threshold", "50"], "must be in \\[0, 1\\], got 50"),
        (["absent.mp4", "--segments", "a.csv"], "no such file: absent.mp4"),
        (["--segments", "a.csv", "--fine", "x.pt"], "fine, which reads no features"),
    ],
)
def test_what_cannot_be_done_is_said(chain, videos, capsys, more, message):
    assert predict(chain / "fine.pt", videos[0], *more) == 1
    assert re.search(message, capsys.readouterr().err)


def test_two_files_of_one_name(chain, videos, tmp_path, capsys):
    copy = shutil.copy(videos[0], tmp_path)
    more = (videos[0], copy, "--segments", tmp_path / "a.csv")
    assert predict(chain / "fine.pt", *more) == 1
    assert "several files are named" in capsys.readouterr().err


def test_another_fine_stream_is_refused(chain, videos, tmp_path, capsys, monkeypatch):
    more = (videos[0], "--segments", tmp_path / "a.csv")
    monkeypatch.chdir(chain)
    assert predict("coarse_fine.pt", *more) == 1
    assert "name its checkpoint with --fine" in capsys.readouterr().err
    other = tmp_path / "other.pt"
    torch.save({}, other)
    assert predict(chain / "coarse_fine.pt", *more, "--fine", other) == 1
    assert "is not the detector whose features" in capsys.readouterr().err


def test_a_pretraining_is_no_detector(chain, videos, tmp_path, capsys):
    more = (videos[0], "--segments", tmp_path / "a.csv")
    assert predict(chain / "pretrain.pt", *more) == 1
    assert "checkpoint of pretrain, which has no detector" in capsys.readouterr().err
