"""A small data set on disk, and a result of it from one member."""

import json

import numpy as np

from ssdet.data.inventory import InventoryRow, write_inventory
from ssdet.data.predictions import write_predictions
from ssdet.evaluate import ensemble

RECIPE = {
    "format": "table",
    "fps": None,
    "mean": [0.0, 0.0, 0.0],
    "std": [1.0, 1.0, 1.0],
    "segments": "refuse",
}


def make_home(folder, labels):
    """Labels of videos a, b and t of six seconds, and their inventory."""
    (folder / "labels.csv").write_text(labels)
    clock, size = (12.0, 72, 6.0), (64, 48, 0, "h264", "")
    rows = [InventoryRow(name, "", *clock, *size, "ok", "") for name in "abt"]
    write_inventory(folder / "inventory.csv", rows)


def make_result(folder, labels, classes):
    """A home with a result; the arguments that name both."""
    make_home(folder, labels)
    draws = np.random.default_rng(0)
    shape = 15, len(classes)
    write_predictions(
        folder / "p.h5",
        [(name, draws.normal(size=shape), np.arange(15) * 0.4) for name in "ab"],
        model="one",
        dataset="home",
        classes=classes,
        checkpoint_sha256="",
        provenance=dict,
    )
    common = ["--name", "home", "--dataset", json.dumps(RECIPE)]
    for name in ("training", "testing"):
        common += [f"--{name}", str(folder / "labels.csv")]
    common += ["--inventory", str(folder / "inventory.csv")]
    common += ["--members", str(folder / "p.h5")]
    result = str(folder / "r.json")
    given = ["--result-name", "all", "--seed", "0", "--sections", "{}"]
    ensemble.main([*common, *given, "--out", result])
    return [*common, "--result", result]
