"""Coarse-Fine trained end to end in the workflow.

It is in no ensemble, so the target demo leaves it out.
"""

import re
import shlex
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest

from ssdet.train import end_to_end
from tests.test_workflow import (
    RESULTS,
    ROOT,
    changed,
    plan,
    put_outputs,
    snakemake,
)
from tests.tiny import tiny_config

TARGET = f"{RESULTS}/charades_coarse_cutmix_fine_cutmix_joint.json"
AFTER = ["train_end_to_end", "predict", "ensemble"]

pytestmark = pytest.mark.skipif(
    shutil.which("snakemake", path=str(Path(sys.executable).parent)) is None,
    reason="the workflow needs Snakemake: pip install ssdet[workflow]",
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder that looks as after the run; tests only plan in it."""
    folder = tmp_path_factory.mktemp("finished")
    put_outputs(folder, TARGET)
    assert plan(folder, TARGET) == Counter()
    return folder


def test_its_plan_stores_no_features(tmp_path):
    jobs = plan(tmp_path, TARGET)
    for rule in ("pretrain", "train_fine", *AFTER):
        assert jobs[rule] == 1, rule
    assert not jobs["extract_features"] and not jobs["train_coarse_fine"]


def test_its_stage_understands_its_command(tmp_path):
    status, said = snakemake(tmp_path, "--dry-run", TARGET)
    assert status == 0, said
    (command,) = re.findall(r"-m ssdet\.train\.end_to_end (.*) 2> ", said)
    args = end_to_end.arguments().parse_args(shlex.split(command))
    assert args.pool == tiny_config().features.pool
    assert args.end_to_end == tiny_config().end_to_end.canonical()
    assert (args.coarse, args.fine) == ("cutmix", "cutmix")
    assert str(args.init) == f"{RESULTS}/pretrain/cutmix/checkpoint.pt"
    assert str(args.fine_init) == f"{RESULTS}/charades/fine/cutmix/checkpoint.pt"


@pytest.mark.parametrize(
    ("sections", "rules"),
    [
        ({"end_to_end": {"fine_loss_weight": 0}}, AFTER),
        ({"features": {"pool": 3}}, AFTER),
        ({"features": {"dtype": "float32"}}, []),
        ({"coarse_fine": {"unpool": "direct"}}, []),
        ({"fine": {"learning_rate": 0.01}}, ["train_fine", *AFTER]),
    ],
    ids=["end_to_end", "pool", "dtype", "coarse_fine", "fine"],
)
def test_a_changed_section_reruns_what_reads_it(finished, sections, rules):
    """The table of config/README.md."""
    jobs = plan(finished, TARGET, config=changed(finished, **sections))
    assert jobs == Counter(rules)


def test_its_revision_reruns_it_and_what_follows(finished, tmp_path):
    for name in ("workflow", "ssdet"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    shutil.copy(ROOT / "environment.yml", tmp_path)
    module = tmp_path / "ssdet" / "train" / "end_to_end.py"
    text, count = re.subn(r"^(REVISION) = ", r"\1 = 1", module.read_text(), flags=re.M)
    assert count == 1
    module.write_text(text)
    jobs = plan(finished, TARGET, snakefile=tmp_path / "workflow" / "Snakefile")
    assert jobs == Counter(AFTER)
