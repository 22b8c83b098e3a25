"""Other seeds in the workflow: what is trained anew, what is shared with the first."""

import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

from tests.test_workflow import (
    RECIPE,
    RESULTS,
    changed,
    plan,
    put_outputs,
    snakemake,
)

pytestmark = pytest.mark.skipif(
    shutil.which("snakemake", path=str(Path(sys.executable).parent)) is None,
    reason="the workflow needs Snakemake: pip install ssdet[workflow]",
)
FINE, HEAD, PAIR = "fine_mixup", "pdan_mixup", "coarse_cutmix_fine_mixup"
TABLE = """\
tables:
  own:
    title: Our rows
    dataset: charades
    protocol: ours
    metrics: [dense_map]
    baseline: null
    rows:
      fine: {label: Fine, input: R, published: null, source: "", result: fine_mixup}
      head: {label: Head, input: R, published: null, source: "", result: pdan_mixup}
"""


def of_seed(seed, name):
    folder = f"{RESULTS}/seed_{seed}" if seed else RESULTS
    return f"{folder}/charades_{name}.json"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder that looks as after a run of the first seed; tests only plan in it."""
    folder = tmp_path_factory.mktemp("finished")
    for name in (FINE, HEAD, PAIR):
        put_outputs(folder, of_seed(0, name))
    return folder


def test_another_seed_trains_that_seed_alone(finished):
    jobs = plan(finished, of_seed(1, HEAD))
    shards = jobs.pop("extract_features")
    assert shards >= 2
    trained = ("pretrain", "train_fine", "train_head", "predict", "ensemble")
    assert jobs == {name: 1 for name in trained}


def test_a_seed_that_is_there_is_left_alone(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "copy")
    put_outputs(tmp_path / "copy", of_seed(1, FINE))
    assert plan(tmp_path / "copy", of_seed(1, FINE)) == Counter()
    assert plan(tmp_path / "copy", of_seed(0, FINE)) == Counter()
    jobs = plan(tmp_path / "copy", of_seed(2, FINE))
    assert jobs == {n: 1 for n in ("pretrain", "train_fine", "predict", "ensemble")}


@pytest.mark.parametrize(
    ("share", "name", "trained"),
    [
        ("pretrain", FINE, ["train_fine", "predict", "ensemble"]),
        ("features", HEAD, ["train_head", "predict", "ensemble"]),
        ("features", PAIR, ["train_coarse_fine", "predict", "ensemble"]),
    ],
)
def test_what_is_shared_is_not_trained_again(finished, tmp_path, share, name, trained):
    """Of the pair, the pretraining by cutmix is of the first seed too, and there."""
    config = changed(tmp_path, seeds={"share": share})
    assert plan(finished, of_seed(1, name), config=config) == {
        stage: 1 for stage in trained
    }


def test_the_seed_is_told_to_its_trainings(finished):
    status, said = snakemake(
        finished, "--dry-run", "--printshellcmds", of_seed(7, FINE)
    )
    assert status == 0, said
    commands = [line for line in said.splitlines() if line.startswith("Shell command:")]
    told = [
        line.split("--seed ")[1].split()[0] for line in commands if "--seed" in line
    ]
    assert told == ["7"] * 3  # pretrain, train_fine, ensemble
    assert f"--out {RESULTS}/seed_7/pretrain/mixup/checkpoint.pt" in said
    assert f"{RESULTS}/logs/pretrain/seed_7/mixup.log" in said


def test_the_first_seed_has_no_folder_of_its_own(finished):
    status, said = snakemake(
        finished, "--dry-run", f"{RESULTS}/seed_0/charades_{FINE}.json"
    )
    assert status != 0
    assert "No rule to produce" in said


def test_what_no_seed_changes_is_refused(finished, tmp_path):
    config = changed(tmp_path, seeds={"share": "features"})
    status, said = snakemake(finished, "--dry-run", of_seed(1, FINE), config=config)
    assert status == 1
    assert f"{FINE} is the same for every seed" in said
    assert "seeds.share" in said


def test_tables_ask_for_the_seeds_that_config_names(finished, tmp_path):
    (tmp_path / "own.yaml").write_text(TABLE)
    report = {"tables": [str(tmp_path / "own.yaml")]}
    config = changed(tmp_path, report=report, seeds={"tables": [1, 5]})
    jobs = plan(finished, "paper_results", config=config)
    assert (jobs["train_fine"], jobs["train_head"], jobs["ensemble"]) == (2, 2, 4)
    config = changed(
        tmp_path, report=report, seeds={"tables": [1, 5], "share": "features"}
    )
    jobs = plan(finished, "paper_results", config=config)
    assert (jobs["train_fine"], jobs["train_head"], jobs["ensemble"]) == (0, 2, 2)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"seeds": {"tables": [1, 1]}}, "seeds.tables names a seed twice"),
        ({"seeds": {"tables": [0]}}, "or the first"),
        ({"seeds": {"share": "all"}}, "seeds.share"),
    ],
)
def test_bad_seeds_are_refused(tmp_path, sections, message):
    config = changed(tmp_path, **sections)
    status, said = snakemake(tmp_path, "--dry-run", "demo", config=config)
    assert status == 1
    assert message in said


def test_a_data_set_may_not_be_called_like_the_folder_of_a_seed(tmp_path):
    charades = yaml.safe_load(RECIPE.read_text())["datasets"]["charades"]
    config = changed(tmp_path, datasets={"seed_1": charades})
    status, said = snakemake(tmp_path, "--dry-run", "demo", config=config)
    assert status == 1
    assert "datasets.seed_1: results of other seeds have folders of such names" in said
