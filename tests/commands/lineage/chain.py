"""A chain of tiny files from videos to a result, by the writers that the stages use.

Nothing is trained: weights, features and logits are made up, records are real.
"""

import json
import shutil
from argparse import Namespace
from pathlib import Path

import numpy as np
import torch

from ssdet.config import canonical_json
from ssdet.data import frames, inventory
from ssdet.data.feature_store import FeatureStore, VideoFeatures, write_features
from ssdet.data.frame_shard import PackedVideo, write_frames
from ssdet.data.frame_store import FrameStore
from ssdet.data.inventory import InventoryRow, write_inventory
from ssdet.data.predictions import write_predictions
from ssdet.evaluate import ensemble, predict
from ssdet.features import extract
from ssdet.files import sha256, write_text
from ssdet.provenance import block, now, write_record
from ssdet.train import coarse_fine, fine, pretrain
from ssdet.train.checkpoint import metrics_path
from ssdet.train.distributed import World
from ssdet.train.inference import inference_block
from ssdet.train.run import begin_from, identity
from tests.tiny import ROOT, tiny_config

CPU = torch.device("cpu")
RESULT = "results/test/charades_two.json"
FINE = "results/test/charades/fine/cls/checkpoint.pt"
SHARDS = ("shard-000.h5", "shard-001.h5")


class Chain:
    """The chain in the present folder."""

    def __init__(self, config=None):
        self.config = config or tiny_config()
        self.root = Path("results/test")
        self.videos = self.root / "synthetic/charades/videos"
        self.labels = {
            name: str(self.videos.with_name(f"{name}.csv"))
            for name in ("training", "testing", "classes")
        }
        self.table = self.root / "charades/inventory.csv"
        self.folder = self.root / "charades/frames"

    def sources(self):
        """Configuration, labels and videos."""
        shutil.copytree(ROOT / "config", "config")
        for name, path in self.labels.items():
            write_text(path, f"the {name} labels\n")
        for video in "ab":
            write_text(self.videos / f"{video}.mp4", f"video {video}")

    def arguments(self, **more):
        """A command line with all sections."""
        names = type(self.config).model_fields.keys() - {"classification", "results"}
        sections = {
            name: canonical_json(self.config.model_dump(mode="json")[name])
            for name in names
        }
        recipe = self.config.datasets["charades"].without_paths()
        own = {"name": "charades", "seed": 0, "inventory": self.table}
        own["dataset"] = canonical_json(recipe)
        return Namespace(**(sections | self.labels | own | more))

    def all(self):
        """Everything from the inventory to the result."""
        self.sources()
        self.inventory()
        self.frames()
        cls, freeze = (self.pretrain(pretext) for pretext in ("cls", "freeze"))
        checkpoint = self.fine(cls, "cls")
        self.features(checkpoint)
        pair = self.coarse_fine(freeze)
        features = {
            f"features/{name}": self.root / f"charades/features/cls/testing/{name}"
            for name in SHARDS
        }
        self.ensemble(
            "two",
            {
                "fine_cls": self.predict("fine_cls", checkpoint),
                "coarse_freeze_fine_cls": self.predict(
                    "coarse_freeze_fine_cls", pair, features
                ),
            },
        )
        return self

    def inventory(self, **changes):
        """Two videos; the hash of some may be said to be another."""
        rows = []
        for name in "ab":
            path = self.videos / f"{name}.mp4"
            digest = changes.get(name, sha256(path))
            cells = (12.0, 24, 2.0, 32, 32, 0, "h264", digest, "ok", "")
            rows.append(InventoryRow(name, str(path), *cells))
        write_inventory(self.table, rows)
        config = {
            "name": "charades",
            "dataset": {"format": "charades", "segments": "refuse"},
            "data": self.config.data.of("charades", "ab"),
            "folder_fps": 24.0,
        }
        labels = {f"labels/{name}": path for name, path in self.labels.items()}
        made = block("inventory", inventory.REVISION, config, labels, now())
        write_record(self.table, made, sha256(self.table))

    def frames(self):
        """A video in each of two shards."""
        config = {"dataset": {"fps": 12.0}, "frames": self._plain("frames")}
        for number, video in enumerate("ab"):
            data = Path(f"{video}.jpeg")
            data.write_bytes(b"picture")
            packed = PackedVideo(
                *(video, data, np.array([0]), np.array([7]), 12.0, 2.0, 8, 8)
            )
            attributes = {"dataset": "charades", "shard": number}
            write_frames(
                self.folder / SHARDS[number],
                [packed],
                {**attributes, "inventory_sha256": sha256(self.table)},
                lambda: block(
                    "extract_frames",
                    frames.REVISION,
                    config,
                    {"inventory": self.table},
                    now(),
                ),
            )
            data.unlink()

    def pretrain(self, pretext):
        """A checkpoint of the stage pretrain; here, of the same videos."""
        out = self.root / f"pretrain/{pretext}/checkpoint.pt"
        return self._train(pretrain, "pretrain", out, {}, {}, pretext=pretext)

    def fine(self, init, pretext, seed=0, out=FINE):
        """A checkpoint of the stage fine."""
        more = {"pretext": pretext}
        return self._train(fine, "fine", Path(out), {"init": init}, {}, seed, **more)

    def coarse_fine(self, init):
        """A checkpoint of the stage coarse_fine."""
        store = FeatureStore(self.root / "charades/features/cls/training")
        made = {"features_made": identity(store), "fine_sha256": sha256(FINE)}
        return self._train(
            coarse_fine,
            "coarse_fine",
            self.root / "charades/coarse_fine/freeze_cls/checkpoint.pt",
            {"init": init},
            {"features": store.as_parent()},
            coarse="freeze",
            fine="cls",
            **made,
        )

    def _train(self, stage, name, out, starts, also, seed=0, **more):
        args = self.arguments(out=out, seed=seed)
        files = {"inventory": self.table, "training": Path(args.training), **starts}
        store = FrameStore(self.folder)
        world = World(0, 1, CPU)
        run = begin_from(
            files,
            name,
            stage.REVISION,
            stage.SECTIONS,
            args,
            world,
            ["c000"],
            {"frames": store.as_parent(), **also},
            frames_made=identity(store),
            **more,
        )
        metrics_path(args.out).parent.mkdir(parents=True, exist_ok=True)
        metrics_path(args.out).write_text(
            '{"step": 1, "waited_s": 0.1, "step_s": 0.5}\n'
        )
        run.finish({"weight": torch.tensor([float(seed)])}, ["c000"])
        return out

    def features(self, checkpoint):
        """Two shards of features of each split."""
        for split in ("training", "testing"):
            for number, video in enumerate("ab"):
                out = self.root / f"charades/features/cls/{split}" / SHARDS[number]
                maps = {"conv5": np.zeros((3, 4, 1, 1))}
                args = self.arguments(checkpoint=checkpoint)
                attributes = {"dataset": "charades", "split": split, "shard": number}
                attributes["checkpoint_sha256"] = sha256(checkpoint)
                write_features(
                    out,
                    [VideoFeatures(video, maps, np.zeros((3, 1)), 24, 2.0)],
                    3,
                    attributes,
                    "float16",
                    None,
                    lambda args=args: self._inferred("extract_features", extract, args),
                )

    def predict(self, model, checkpoint, parents=None):
        """Logits of a model."""
        out = self.root / f"charades/predictions/{model}.h5"
        args = self.arguments(checkpoint=checkpoint)
        write_predictions(
            out,
            [("b", np.zeros((3, 1)), np.arange(3.0))],
            model=model,
            dataset="charades",
            classes=["c000"],
            checkpoint_sha256=sha256(checkpoint),
            provenance=lambda: self._inferred("predict", predict, args, parents),
        )
        return out

    def _inferred(self, name, stage, args, parents=None):
        read = {"frames": FrameStore(self.folder).as_parent(), **(parents or {})}
        return inference_block(
            name, stage.REVISION, stage.SECTIONS, args, CPU, now(), read
        )

    def ensemble(self, name, members, dense_map=0.5):
        """A result, as the stage ensemble writes it; the score is made up."""
        models = {m: self.config.models[m].model_dump() for m in members}
        parents = {f"predictions/{m}": path for m, path in members.items()}
        parents |= {f"labels/{key}": path for key, path in self.labels.items()}
        recipe = self.config.datasets["charades"].without_paths()
        result = {
            "dataset": "charades",
            "name": name,
            "metrics": {"dense_map": dense_map, "per_class": []},
            "members": [{"model": member} for member in members],
            "seed": 0,
            "provenance": block(
                "ensemble",
                ensemble.REVISION,
                {"dataset": recipe, "models": models},
                {**parents, "inventory": self.table},
                now(),
            ),
        }
        out = self.root / f"charades_{name}.json"
        write_text(out, json.dumps(result))
        return out

    def _plain(self, name):
        return getattr(self.config, name).model_dump(mode="json")
