"""The tiny sets of config/test.yaml, made by the stages themselves, for stage tests."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from ssdet.config import Config, canonical_json, load
from ssdet.data import frames, inventory, synthetic
from ssdet.data.shards import shard_count

ROOT = Path(__file__).resolve().parents[1]
FILES = {
    "kinetics400": ("train.csv", "val.csv", ""),
    "charades": (
        "Charades_v1_train.csv",
        "Charades_v1_test.csv",
        "Charades_v1_classes.txt",
    ),
}


def merged(base, override):
    """What Snakemake makes of two config files."""
    result = dict(base)
    for key, value in override.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        result[key] = merged(base[key], value) if both else value
    return result


def tiny_config(**sections) -> Config:
    """config.yaml with test.yaml, and with the given sections, over it."""
    texts = [(ROOT / "config" / f"{n}.yaml").read_text() for n in ("config", "test")]
    recipe, override = map(yaml.safe_load, texts)
    return load(merged(merged(recipe, override), sections))


@dataclass(frozen=True)
class Tiny:
    """Where the sets lie, and the command lines that name them."""

    folder: Path
    config: Config

    def labels(self, name):
        """Arguments that name a set and its label files."""
        training, testing, classes = FILES[name]
        folder = self.folder / "synthetic" / name
        return [
            *("--name", name),
            *("--dataset", canonical_json(self.config.datasets[name].without_paths())),
            *("--training", str(folder / training)),
            *("--testing", str(folder / testing)),
            *("--classes", str(folder / classes) if classes else ""),
        ]

    def data(self, name):
        """Arguments that name a set, its inventory and its frames."""
        return [
            *self.labels(name),
            *("--inventory", str(self.folder / name / "inventory.csv")),
            *("--frames-dir", str(self.folder / name / "frames")),
            *self.sections("frames"),
        ]

    def sections(self, *names):
        """Config sections as arguments."""
        return [
            text
            for name in names
            for text in (
                "--" + name.replace("_", "-"),
                getattr(self.config, name).canonical(),
            )
        ]

    def pretrain(self, out, pretext="freeze", **more):
        """Arguments of the stage pretrain."""
        return [
            *self.data("kinetics400"),
            *("--pretext", pretext, "--init", ""),
            *self.sections("model", "spatial", "pretrain", "augment"),
            *_training(out, **more),
        ]

    def fine(self, out, init, pretext="freeze", **more):
        """Arguments of the stage fine."""
        return [
            *self.data("charades"),
            *("--pretext", pretext, "--init", str(init)),
            *self.sections("model", "spatial", "sampling", "validation", "fine"),
            *_training(out, **more),
        ]

    def extract(self, out, checkpoint, split, shard):
        """Arguments of the stage extract_features."""
        return [
            *self.data("charades"),
            *("--shard", str(shard), "--split", split),
            *("--checkpoint", str(checkpoint), "--out", str(out)),
            *self.sections("spatial", "sampling", "features"),
            *("--device", "cpu"),
        ]

    def coarse_fine(self, out, init, features, **more):
        """Arguments of the stage coarse_fine."""
        return [
            *self.data("charades"),
            *("--coarse", "freeze", "--fine", "freeze", "--init", str(init)),
            *("--features-dir", str(features)),
            *self.sections("model", "spatial", "sampling", "validation", "coarse_fine"),
            *_training(out, **more),
        ]

    def coarse(self, out, init, **more):
        """Arguments of the stage coarse."""
        return [
            *self.data("charades"),
            *("--pretext", "freeze", "--init", str(init)),
            *self.sections("model", "spatial", "sampling", "validation", "coarse"),
            *_training(out, **more),
        ]

    def slow(self, out, init, **more):
        """Arguments of the stage slow."""
        return [
            *self.data("charades"),
            *("--pretext", "freeze", "--init", str(init)),
            *self.sections("model", "spatial", "sampling", "validation", "slow"),
            *_training(out, **more),
        ]

    def slowfast(self, out, init, fast, **more):
        """Arguments of the stage slowfast."""
        return [
            *self.data("charades"),
            *("--slow", "freeze", "--fast", "freeze"),
            *("--init", str(init), "--fast-init", str(fast)),
            *self.sections("model", "spatial", "sampling", "validation", "slowfast"),
            *_training(out, **more),
        ]

    def end_to_end(self, out, init, fine, **more):
        """Arguments of the stage end_to_end."""
        return [
            *self.data("charades"),
            *("--coarse", "freeze", "--fine", "freeze"),
            *("--init", str(init), "--fine-init", str(fine)),
            *("--pool", str(self.config.features.pool)),
            *self.sections("model", "spatial", "sampling", "validation", "end_to_end"),
            *_training(out, **more),
        ]

    def head(self, out, features, head="se", pretext="freeze", changes=(), **more):
        """Arguments of the stage head, with some values of its section changed."""
        section = self.config.head.section(head, "charades")
        section = section.model_copy(update=dict(changes))
        return [
            *self.labels("charades"),
            *("--inventory", str(self.folder / "charades" / "inventory.csv")),
            *("--head-name", head, "--pretext", pretext),
            *("--features-dir", str(features), "--head", section.canonical()),
            *self.sections("frames", "validation"),
            *_training(out, **more),
        ]

    def predict(self, out, checkpoint, features="", epoch=""):
        """Arguments of the stage predict."""
        return [
            *self.data("charades"),
            *("--features-dir", str(features), "--checkpoint", str(checkpoint)),
            *("--epoch", epoch),
            *("--model-name", "tiny", "--out", str(out), "--device", "cpu"),
            *self.sections("spatial", "sampling", "predict"),
        ]

    @property
    def shards(self):
        """Number of shards of the detection set."""
        counts = self.config.synthetic
        videos = counts.training_videos + counts.testing_videos
        return shard_count(videos, self.config.frames.shard_videos)


def _training(out, seed=0, checkpoint_seconds=1000, workers=0):
    return [
        *("--seed", str(seed), "--workers", str(workers), "--device", "cpu"),
        *("--checkpoint-seconds", str(checkpoint_seconds), "--out", str(out)),
    ]


def make_tiny(folder):
    """Generate both sets, their inventories and frames."""
    config = tiny_config()
    tiny = Tiny(folder, config)
    sets = folder / "synthetic"
    synthetic.main(
        [
            *("--synthetic", config.synthetic.canonical(), "--seed", "0"),
            *("--workers", "1", "--out-dir", str(sets)),
        ]
    )
    counts = config.synthetic
    numbers = {
        "kinetics400": counts.training_clips + counts.testing_clips,
        "charades": counts.training_videos + counts.testing_videos,
    }
    for name, videos in numbers.items():
        table = folder / name / "inventory.csv"
        inventory.main(
            [
                *tiny.labels(name),
                *("--videos", str(sets / name / "videos"), "--workers", "0"),
                *("--data", config.data.canonical(), "--out", str(table)),
            ]
        )
        for shard in range(shard_count(videos, config.frames.shard_videos)):
            out = folder / name / "frames" / f"shard-{shard:03d}.h5"
            frames.main(
                [
                    *("--name", name, "--inventory", str(table)),
                    "--dataset",
                    canonical_json(config.datasets[name].without_paths()),
                    *tiny.sections("frames"),
                    *("--shard", str(shard), "--workers", "0", "--out", str(out)),
                ]
            )
    return tiny
