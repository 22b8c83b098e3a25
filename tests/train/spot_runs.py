"""Runs of SPOT's two training stages on features that lie in files."""

import numpy as np

from ssdet.config import canonical_json
from ssdet.train import pretrain_spot, spot
from tests.tiny import tiny_config
from tests.train.spot_sets import CLASSES, WIDTH, config

VIDEOS = 12
DURATION_S = 20.0
RECIPE = {
    "format": "table",
    "fps": 10,
    "mean": [0.5, 0.5, 0.5],
    "std": [0.5, 0.5, 0.5],
    "segments": "repair",
}


def small(**changes):
    """The section `spot` for runs of a few steps."""
    base = {
        "features__source": "files",
        "pretrain__batch_size": 4,
        "pretrain__epochs": 2,
        "train__batch_size": 4,
        "train__unlabelled_batch_size": 4,
        "train__epochs": 3,
        "train__drop_epochs": [2],
    }
    return config(**base | changes)


def make_folder(root):
    """Features and a table of labels; video 11 has a segment past its end."""
    source = np.random.default_rng(0)
    rows = ["video_id,start_s,end_s,label,split"]
    (root / "features").mkdir()
    for number in range(VIDEOS):
        label, start = number % CLASSES, 2.0 + number % 5
        end = 99.0 if number == VIDEOS - 1 else start + 6
        x = source.normal(size=(30, WIDTH)).astype(np.float32)
        x[int(1.5 * start) : int(1.5 * start) + 9, label] += 4
        np.save(root / "features" / f"v{number:02d}.npy", x)
        rows.append(f"v{number:02d},{start},{end},c{label},training")
    rows.append("t0,1.0,3.0,c0,testing")
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    inventory = root / "inventory.csv"
    header = "video_id,path,fps,frames,duration_s,width,height,rotation,codec,sha256"
    lines = [f"{header},status,reason"]
    for name in ["t0", *(f"v{n:02d}" for n in range(VIDEOS))]:
        lines.append(f"{name},{name}.mp4,10,200,{DURATION_S},8,8,0,h264,0,ok,")
    inventory.write_text("\n".join(lines) + "\n")
    return root


def arguments(folder, out, section, *more, missing=0.0, seed=0, save=1000):
    """What both stages take."""
    whole = tiny_config()
    data = {"max_missing_fraction": missing, "exclude": []}
    return [
        *("--name", "mine", "--dataset", canonical_json(RECIPE)),
        *("--training", str(folder / "labels.csv")),
        *("--testing", str(folder / "labels.csv")),
        *("--inventory", str(folder / "inventory.csv")),
        *("--frames", whole.frames.canonical()),
        *("--features-dir", str(folder / "features")),
        *("--data", canonical_json(data)),
        *("--network", section.network.canonical()),
        *("--features", canonical_json(section.features.without_paths())),
        *("--losses", section.losses.canonical()),
        *("--validation", canonical_json({"fraction": 0.2})),
        *("--seed", str(seed), "--device", "cpu", "--out", str(out)),
        *("--checkpoint-seconds", str(save)),
        *more,
    ]


def pretrain(folder, out, section, **more):
    pretrain_spot.main(
        arguments(
            folder, out, section, "--pretrain", section.pretrain.canonical(), **more
        )
    )


def train(folder, out, section, labelled=50, init="", split="", **more):
    spot.main(
        arguments(
            folder,
            out,
            section,
            *("--train", section.train.canonical()),
            *("--labelled", str(labelled), "--split-seed", "1"),
            *("--init", str(init), "--split-file", str(split)),
            **more,
        )
    )
