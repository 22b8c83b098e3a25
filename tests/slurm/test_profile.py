"""The profile for Slurm, and a site's own after it, as Snakemake reads them."""

import logging
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from tests.tiny import ROOT

pytest.importorskip("snakemake", reason="pip install ssdet[workflow]")
plugin = pytest.importorskip("snakemake_executor_plugin_slurm.partitions")
PROFILES = ROOT / "workflow" / "profiles"
SITE = PROFILES / "site_example"


def options(monkeypatch, *profiles):
    """What Snakemake makes of profiles, called from the repository root."""
    from snakemake.cli import parse_args

    monkeypatch.chdir(ROOT)
    words = [word for name in profiles for word in ("--profile", name)]
    monkeypatch.setattr(sys, "argv", ["snakemake"])
    return parse_args([*words, "results/charades_ensemble.json"])[1]


def test_a_site_adds_a_few_lines(monkeypatch):
    alone = options(monkeypatch, "slurm")
    both = options(monkeypatch, "slurm", str(SITE))
    assert Path(both.slurm_partition_config) == SITE / "partitions.yaml"
    differ = {
        name
        for name, value in vars(both).items()
        if str(value) != str(getattr(alone, name))
    }
    differ -= {"profile", "max_jobs_per_timespan"}  # the latter: a new object each time
    assert differ == {"default_resources", "slurm_partition_config"}
    assert both.executor == "slurm" and both.jobs == 64 and both.retries == 2
    assert both.rerun_triggers == alone.rerun_triggers  # of workflow/profiles/default
    parsed = yaml.safe_load((SITE / "config.yaml").read_text())
    assert parsed["default-resources"] == {"nodes": 1, "slurm_account": "ACCOUNT"}


def test_every_entry_of_the_profiles_has_a_comment():
    for path in PROFILES.glob("*/config.yaml"):
        entries = path.read_text().split("\n\n")
        for key in yaml.safe_load(path.read_text()):
            (text,) = (e for e in entries if f"\n{key}:" in f"\n{e}")
            own = text.startswith("#") or (key == "executor" and entries[0][0] == "#")
            assert own, f"{path}: {key}"


def job(kind, attempt):
    """A job as the plugin sees it: threads, and the resources of config.yaml."""
    recipe = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    asked = recipe["resources"][kind]
    resources = {"nodes": 1, "gpu": asked["gpu"], "mem_mb": asked["mem_mb"]}
    resources["runtime"] = attempt * asked["runtime"]
    return SimpleNamespace(name=kind, threads=asked["threads"], resources=resources)


@pytest.mark.parametrize(
    ("kind", "partition"),
    [("data", "cpu"), ("train", "gpu"), ("infer", "gpu"), ("report", "short")],
)
@pytest.mark.parametrize("attempt", [1, 2, 3])
def test_jobs_go_where_they_fit(kind, partition, attempt):
    """By the plugin's own choice; a report that took an hour goes on elsewhere."""
    partitions = plugin.read_partition_file(SITE / "partitions.yaml")
    log = logging.getLogger("test")
    found = plugin.get_best_partition(partitions, job(kind, attempt), log)
    assert found == ("cpu" if (kind, attempt > 1) == ("report", True) else partition)
