"""Labels of the steps, on the published annotations."""

import math
from pathlib import Path

import pytest
import yaml

from ssdet.config import load
from ssdet.data.annotations import read_dataset
from ssdet.train.head_videos import LabelledSteps

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    "charades": (
        "Charades_v1_train.csv.gz",
        "Charades_v1_test.csv.gz",
        "Charades_v1_classes.txt",
    ),
    "multithumos": ("multithumos.json.gz", "multithumos.json.gz", "class_list.csv"),
}


class Lengths:
    """Steps of I3D features: every 8th frame, the last one lost."""

    def __init__(self, records, rate):
        frames = {r.video_id: round(r.duration_s * rate) for r in records}
        self.of = {v: max(1, math.ceil(n / 8) - 1) for v, n in frames.items()}

    def steps(self, video_id):
        return self.of[video_id]


@pytest.mark.parametrize(
    ("name", "rate", "longest", "mean_steps", "labels", "empty"),
    [("charades", 24, 216, 86, 3.69, 8.7), ("multithumos", 25, 5229, 677, 1.56, 20.5)],
)
def test_labels_of_the_published_sets(
    shared, name, rate, longest, mean_steps, labels, empty
):
    """Source: spec of the heads, section 1, computed from the public files."""
    folder = shared / "data" / "annotations" / name
    if not folder.is_dir():
        pytest.skip(f"needs {folder}, which may not be passed on")
    recipe = load(yaml.safe_load((ROOT / "config" / "config.yaml").read_text()))
    files = [folder / file for file in FILES[name]]
    section = recipe.datasets[name].without_paths()
    dataset = read_dataset(name, section, *files)
    records = dataset.of("testing")
    durations = {record.video_id: record.duration_s for record in records}
    lengths = Lengths(records, rate)
    videos = LabelledSteps(records, lengths, dataset.class_index, durations)
    every = [videos.labels(record) for record in records]
    steps = sum(own.shape[1] for own in every)
    assert max(own.shape[1] for own in every) == longest
    assert round(steps / len(records)) == mean_steps
    assert round(sum(int(own.sum()) for own in every) / steps, 2) == labels
    silent = sum(int((own.sum(0) == 0).sum()) for own in every)
    assert round(100 * silent / steps, 1) == empty
