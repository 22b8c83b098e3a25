"""The workflow, as Snakemake's command line runs it: plans, reruns, complaints.

Most tests plan only, in a folder of their own. For reruns, the outputs of a whole run
are put there as empty files and declared done, so that Snakemake compares configs as it
does after a real run. The last test is a real run. Marked slow: the real run, and the
two tables of reruns.
"""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from math import ceil
from pathlib import Path

import numpy as np
import pytest
import yaml

from ssdet import cli
from ssdet.data.predictions import Predictions
from ssdet.data.synthetic_ids import planned_ids
from ssdet.report.stage_graph import FEEDS
from ssdet.train.checkpoint import load_checkpoint
from tests.report_pages import look_through
from tests.tiny import tiny_config

ROOT = Path(__file__).resolve().parents[1]
SNAKEFILE = ROOT / "workflow" / "Snakefile"
RECIPE, TINY = ROOT / "config" / "config.yaml", ROOT / "config" / "test.yaml"
RESULTS = "results/test"
STAGES = {
    "synthetic": "data/synthetic",
    "inventory": "data/inventory",
    "extract_frames": "data/frames",
    "pretrain": "train/pretrain",
    "train_fine": "train/fine",
    "extract_features": "features/extract",
    "train_coarse_fine": "train/coarse_fine",
    "train_coarse": "train/coarse",
    "train_slow": "train/slow",
    "train_slowfast": "train/slowfast",
    "train_head": "train/head",
    "predict": "evaluate/predict",
    "ensemble": "evaluate/ensemble",
    "tables": "report/tables",
    "cost": "report/cost",
    "figures": "report/figures",
    "grid": "report/grid",
    "errors": "report/errors",
    "strips": "report/strips",
    "overview": "report/overview",
    "curves": "report/curves",
}

pytestmark = pytest.mark.skipif(
    shutil.which("snakemake", path=str(Path(sys.executable).parent)) is None,
    reason="the workflow needs Snakemake: pip install ssdet[workflow]",
)


def snakemake(folder, *arguments, config=(RECIPE, TINY), snakefile=SNAKEFILE):
    """Run Snakemake in a folder; returns exit status and all that it said."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", snakefile]
    command += ["--configfile", *config, "--cores", "2", *arguments]
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    return done.returncode, done.stdout + done.stderr


def plan(folder, target="demo", **given):
    """How many jobs of each rule would run."""
    status, said = snakemake(folder, "--dry-run", target, **given)
    assert status == 0, said
    table = re.search(r"^job +count\n[- ]+\n(.*?)^total ", said, re.M | re.S)
    if table is None:
        assert "Nothing to be done" in said, said
        return Counter()
    rows = [line.split() for line in table[1].splitlines()]
    return Counter({rule: int(count) for rule, count in rows})


def provenance(folder, *arguments):
    """What `ssdet provenance --json` says in a folder; exit status and the report."""
    command = [sys.executable, "-m", "ssdet.cli", "provenance", "--json", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env=environment
    )
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, json.loads(done.stdout)


def changed(folder, **sections):
    """A config file with some sections changed, given after the tiny one."""
    path = folder / "changed.yaml"
    path.write_text(yaml.safe_dump(sections))
    return (RECIPE, TINY, path)


def put_outputs(folder, target="demo"):
    """Put every output of a tiny run into a folder, and declare all jobs done."""
    status, said = snakemake(folder, "--summary", target)
    assert status == 0, said
    for line in said.splitlines():
        output = line.split("\t")[0]
        if line.count("\t") >= 5 and output != "output_file":
            path = folder / output
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("")
    status, said = snakemake(folder, "--touch", "--forceall", target)
    assert status == 0, said


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder that looks as after `snakemake demo`; tests only plan in it."""
    folder = tmp_path_factory.mktemp("finished")
    put_outputs(folder)
    assert plan(folder) == Counter()
    return folder


# ------------------------------------------------------------------------------- plans


def test_plan_of_everything(tmp_path):
    """Four pretrainings and fine streams, three pairs, one of each other kind.

    So eleven models are tested; with the ensembles there are sixteen results.
    """
    tiny = yaml.safe_load(TINY.read_text())
    size, counts = tiny["frames"]["shard_videos"], tiny["synthetic"]
    shards = {
        what: ceil((counts[f"training_{what}"] + counts[f"testing_{what}"]) / size)
        for what in ("clips", "videos")
    }
    jobs = plan(tmp_path)
    features = jobs.pop("extract_features")
    assert jobs == {
        "synthetic": 1,
        "inventory": 2,
        "extract_frames": sum(shards.values()),
        "pretrain": 4,
        "train_fine": 4,
        "train_coarse_fine": 3,
        "train_coarse": 1,
        "train_slow": 1,
        "train_slowfast": 1,
        "train_head": 1,
        "predict": 11,
        "ensemble": 16,
        "tables": 1,
        "cost": 1,
        "figures": 5,
        "grid": 4,
        "errors": 5,
        "strips": 1,
        "overview": 1,
        "curves": 1,
        "demo": 1,
    }
    # Of one stream, cls: every shard has videos of one split or of both.
    assert shards["videos"] <= features <= 2 * shards["videos"]


def test_plan_of_one_result_trains_only_its_members(tmp_path):
    jobs = plan(tmp_path, f"{RESULTS}/charades_fine_mixup.json")
    assert (jobs["pretrain"], jobs["train_fine"], jobs["predict"]) == (1, 1, 1)
    assert not jobs["extract_features"]
    assert not jobs["train_coarse_fine"]


def test_plan_of_a_pair_trains_both_streams(tmp_path):
    jobs = plan(tmp_path, f"{RESULTS}/charades_coarse_cutmix_fine_mixup.json")
    assert (jobs["pretrain"], jobs["train_fine"], jobs["predict"]) == (2, 1, 1)
    assert jobs["train_coarse_fine"] == 1


def test_plan_of_slowfast_trains_its_fast_stream_first(tmp_path):
    jobs = plan(tmp_path, f"{RESULTS}/charades_slow_cutmix_fast_cutmix.json")
    assert (jobs["pretrain"], jobs["train_fine"], jobs["predict"]) == (1, 1, 1)
    assert jobs["train_slowfast"] == 1
    assert not jobs["extract_features"] and not jobs["train_slow"]


def test_plan_of_a_head_trains_what_it_reads(tmp_path):
    """The features of both splits; no frames of the test videos but for these."""
    jobs = plan(tmp_path, f"{RESULTS}/charades_pdan_mixup.json")
    names = ("pretrain", "train_fine", "train_head", "predict")
    assert [jobs[name] for name in names] == [1] * 4
    assert jobs["extract_features"] >= 2
    assert not jobs["train_coarse_fine"]


def test_a_head_on_published_features_needs_no_detector(tmp_path):
    (tmp_path / "i3d").mkdir()
    config = changed(
        tmp_path,
        head={"external": {"i3d_rgb": {"charades": "i3d"}}, "watch_test": True},
        models={
            "se_i3d_best_on_test": {
                "kind": "head",
                "head": "se",
                "pretext": "i3d_rgb",
                "epoch": "best_on_test",
            }
        },
    )
    target = f"{RESULTS}/charades_se_i3d_best_on_test.json"
    jobs = plan(tmp_path, target, config=config)
    names = {"synthetic", "inventory", "train_head", "predict", "ensemble"}
    assert set(jobs) == names
    status, said = snakemake(tmp_path, "--dry-run", target, config=config)
    assert said.count("--features-dir i3d --external") == 1
    assert "--test-features-dir=i3d" in said
    assert "--features-dir=i3d --epoch best_on_test --external" in said
    (tmp_path / "i3d").rmdir()
    status, said = snakemake(tmp_path, "--dry-run", target, config=config)
    assert status == 1
    assert "head.external.i3d_rgb.charades: no folder i3d" in said


def test_members_are_shared(tmp_path):
    """Three pairs share a fine stream; their trunks are those of the single streams."""
    jobs = plan(tmp_path, f"{RESULTS}/charades_ensemble.json")
    assert jobs["train_coarse_fine"] == 3
    assert (jobs["pretrain"], jobs["train_fine"], jobs["predict"]) == (4, 4, 6)


def test_default_target_is_everything(tmp_path):
    status, said = snakemake(tmp_path, "--dry-run")
    assert status == 0, said
    assert f"{RESULTS}/tables/charades.md" in said


def test_commands_can_be_pasted(tmp_path):
    """They name no file of this checkout, and their logs are where they belong."""
    status, said = snakemake(tmp_path, "--dry-run", "demo")
    assert status == 0, said
    commands = re.findall(r"^Shell command: (export.*)$", said, re.M)
    assert len(commands) == sum(plan(tmp_path).values()) - 1  # all but rule demo
    for command in commands:
        assert re.match(r"export OMP_NUM_THREADS=\d+; python -m ssdet\.", command)
        assert str(ROOT) not in command
        assert command.count("2> " + RESULTS + "/logs/") == 1


def test_several_gpus_are_started_by_torchrun(tmp_path):
    config = changed(
        tmp_path,
        resources={"train": {"threads": 8, "gpu": 4, "mem_mb": 1000, "runtime": 5}},
    )
    target = f"{RESULTS}/charades_fine_cls.json"
    arguments = ("--dry-run", "--resources", "gpu=4", "--cores", "8", target)
    status, said = snakemake(tmp_path, *arguments, config=config)
    assert status == 0, said
    start = "export OMP_NUM_THREADS=2; torchrun --standalone --nproc-per-node 4"
    assert said.count(f"{start} -m ssdet.train.") == 2


def test_plan_of_a_challenge_file(tmp_path):
    jobs = plan(tmp_path, f"{RESULTS}/submissions/charades_fine_ensemble.txt")
    assert (jobs["challenge"], jobs["predict"], jobs["ensemble"]) == (1, 3, 0)


def test_the_drawn_stages_are_those_of_the_rules(tmp_path):
    """The overview's drawing, against Snakemake's own graph of every model's rules."""
    others = ("spot_50", "coarse_cutmix_fine_cutmix_joint")
    targets = ["demo", *(f"{RESULTS}/charades_{name}.json" for name in others)]
    status, said = snakemake(tmp_path, "--rulegraph", "dot", *targets)
    assert status == 0, said
    names = dict(re.findall(r'(\d+)\[label = "(\w+)"', said))
    edges = re.findall(r"(\d+) -> (\d+)", said)
    feeds = {name: set() for name in names.values() if name in FEEDS}
    for source, target in edges:
        if names[target] in feeds:
            feeds[names[target]].add(names[source])
    assert feeds == {stage: set(sources) for stage, sources in FEEDS.items()}


# -------------------------------------------------------------------------- rerun rules

AFTER = {  # stage -> the stages that read what it writes
    "synthetic": {"inventory", "pretrain", "train_fine"},
    "inventory": {"extract_frames"},
    "extract_frames": {"pretrain", "predict", "strips"},
    "pretrain": {"train_fine", "train_coarse", "train_slow"}
    | {"train_coarse_fine", "train_slowfast"},
    "train_fine": {"extract_features", "predict", "train_slowfast"},
    "extract_features": {"train_coarse_fine", "train_head", "predict"},
    "train_coarse_fine": {"predict"},
    "train_coarse": {"predict"},
    "train_slow": {"predict"},
    "train_slowfast": {"predict"},
    "train_head": {"predict"},
    "predict": {"ensemble", "figures", "grid", "errors"},
    "ensemble": {"tables", "figures", "errors", "overview", "curves"},
    "tables": set(),
    "cost": set(),
    "figures": set(),
    "grid": set(),
    "errors": set(),
    "strips": set(),
    "overview": set(),
    "curves": set(),
}


def following(*stages):
    """Stages, and all after them."""
    found, open_stages = set(), set(stages)
    while open_stages:
        stage = open_stages.pop()
        found.add(stage)
        open_stages |= AFTER[stage] - found
    without_grid = {"train_slow", "train_slowfast", "train_head"}
    return found - {"grid"} if without_grid.issuperset(stages) else found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sections", "first"),
    [
        ({"synthetic": {"testing_clips": 3}}, ["synthetic"]),
        ({"data": {"max_missing_fraction": 0.5}}, ["inventory"]),
        ({"frames": {"jpeg_quality": 80}}, ["extract_frames"]),
        ({"model": {"dropout": 0.3}}, ["pretrain", "cost"]),
        ({"spatial": {"flip": 0.5}}, ["pretrain"]),
        ({"pretrain": {"learning_rate": 0.01}}, ["pretrain"]),
        ({"augment": {"freeze": {"segments": 2}}}, ["pretrain", "strips"]),
        ({"sampling": {"stride": 3}}, ["train_fine", "train_coarse", "train_slow"]),
        (
            {"validation": {"fraction": 0.5}},
            ["train_fine", "train_coarse", "train_slow"],
        ),
        ({"fine": {"learning_rate": 0.01}}, ["train_fine"]),
        ({"features": {"dtype": "float32"}}, ["extract_features"]),
        ({"coarse_fine": {"unpool": "direct"}}, ["train_coarse_fine"]),
        ({"coarse": {"keep": "last"}}, ["train_coarse"]),
        ({"slow": {"epochs": 1}}, ["train_slow"]),
        ({"slowfast": {"keep": "last"}}, ["train_slowfast"]),
        ({"head": {"heads": {"se": {"window": 9}}}}, ["train_head"]),
        ({"predict": {"alignment": "time"}}, ["predict"]),
        ({"report": {"timeline_videos": 2}}, ["figures", "grid"]),
        ({"report": {"boundary_s": 2.0}}, ["errors"]),
        ({"seed": 1}, ["synthetic"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_changed_section_reruns_its_stage_and_what_follows(finished, sections, first):
    """The table of config/README.md."""
    jobs = plan(finished, config=changed(finished, **sections))
    assert set(jobs) - {"demo"} == following(*first)


def test_a_changed_fine_stage_leaves_the_pretraining_alone(finished):
    jobs = plan(finished, config=changed(finished, fine={"learning_rate": 0.01}))
    assert jobs["train_fine"] == 4
    assert not {"synthetic", "inventory", "extract_frames", "pretrain"} & set(jobs)


@pytest.mark.parametrize(
    ("values", "first"),
    [
        (
            {"mean": [0.4, 0.4, 0.4]},
            ["train_fine", "train_coarse", "train_slow", "train_slowfast"],
        ),
        ({"fps": 24}, ["extract_frames"]),
        ({"segments": "repair"}, ["inventory"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_data_set_reruns_what_reads_it(finished, values, first):
    """Videos are decoded again only for what decoding depends on."""
    jobs = plan(finished, config=changed(finished, datasets={"charades": values}))
    assert jobs["pretrain"] == 0
    assert set(jobs) - {"demo"} == following(*first) - {"pretrain", "strips"}
    shards = {"inventory": 1, "extract_frames": 2, "train_fine": 4}
    assert {rule: jobs[rule] for rule in shards if jobs[rule]} == {
        rule: count for rule, count in shards.items() if rule in following(*first)
    }


def test_losses_of_one_set_leave_the_others_alone(finished):
    """Of `data`, an inventory depends on what concerns its own videos."""
    synthetic = tiny_config().synthetic
    video = planned_ids(synthetic, seed=0)["charades"]["training"][0]
    for losses in (
        {"exclude": [video, "of no set"]},
        {"max_missing_fraction": {"charades": 0.5}},
    ):
        jobs = plan(finished, config=changed(finished, data=losses))
        assert (jobs["inventory"], jobs["extract_frames"]) == (1, 2)
        assert jobs["pretrain"] == 0
    elsewhere = {"exclude": ["of no set"], "max_missing_fraction": {"multithumos": 0.5}}
    assert plan(finished, config=changed(finished, data=elsewhere)) == Counter()


def test_another_member_reruns_its_ensemble_alone(finished):
    ensembles = {"fine_ensemble": ["fine_freeze", "fine_mixup"]}
    jobs = plan(finished, config=changed(finished, ensembles=ensembles))
    after = ("figures", "errors", "tables", "cost", "overview", "curves", "demo")
    assert jobs == dict.fromkeys(("ensemble", *after), 1)


def test_another_model_is_counted_and_trained_when_asked_for(finished):
    models = {"another": {"kind": "fine", "pretext": "joint"}}
    jobs = plan(finished, config=changed(finished, models=models))
    assert jobs == {"cost": 1, "demo": 1}


@pytest.mark.parametrize(
    "sections",
    [
        {"resources": {"workers": 7}},
        {"resources": {"device": "auto", "checkpoint_seconds": 1}},
        {"resources": {"train": {"threads": 2, "gpu": 2, "mem_mb": 9, "runtime": 9}}},
        {"datasets": {"multithumos": {"fps": 30}}},
        {"pretrain": {"learning_rate": 1.0e-3, "steps": 3.0}},
    ],
    ids=["workers", "device", "gpus", "another set", "spelling"],
)
def test_what_changes_no_number_reruns_nothing(finished, sections):
    assert plan(finished, config=changed(finished, **sections)) == Counter()


def test_order_and_comments_rerun_nothing(finished, tmp_path):
    recipe = yaml.safe_load(RECIPE.read_text())
    other = tmp_path / "reversed.yaml"
    other.write_text(yaml.safe_dump(dict(reversed(recipe.items())), sort_keys=False))
    assert plan(finished, config=(other, TINY)) == Counter()


def test_a_profile_reruns_nothing(finished):
    profile = ("--profile", str(ROOT / "workflow" / "profiles" / "slurm"))
    status, said = snakemake(finished, "--dry-run", *profile, "demo")
    assert status == 0, said
    assert "Nothing to be done" in said


@pytest.fixture
def checkout(tmp_path):
    """A copy of what planning reads, to be changed."""
    copy = tmp_path / "checkout"
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("workflow", "ssdet"):
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    shutil.copy(ROOT / "environment.yml", copy)
    return copy


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_revision_reruns_its_stage_and_what_follows(finished, checkout, stage):
    module = checkout / "ssdet" / f"{STAGES[stage]}.py"
    text, count = re.subn(
        r"^REVISION = (\d+)$",
        lambda found: f"REVISION = {int(found[1]) + 1}",
        module.read_text(),
        flags=re.M,
    )
    assert count == 1
    module.write_text(text)
    jobs = plan(finished, snakefile=checkout / "workflow" / "Snakefile")
    assert set(jobs) - {"demo"} == following(stage)


def test_other_edits_of_the_code_rerun_nothing(finished, checkout):
    for path in (checkout / "ssdet").rglob("*.py"):
        path.write_text(path.read_text() + "\n# edited\n")
    train = checkout / "workflow" / "rules" / "train.smk"
    train.write_text(train.read_text().replace("export OMP", "umask 002; export OMP"))
    environment = checkout / "environment.yml"
    environment.write_text(environment.read_text() + "# another version\n")
    jobs = plan(finished, snakefile=checkout / "workflow" / "Snakefile")
    assert jobs == Counter()


def test_every_stage_has_a_revision():
    for module in STAGES.values():
        text = (ROOT / "ssdet" / f"{module}.py").read_text()
        assert len(re.findall(r"^REVISION = \d+$", text, re.M)) == 1, module


# --------------------------------------------------------------------------- complaints


def test_all_missing_paths_are_named_in_one_message(tmp_path):
    (tmp_path / "data" / "charades" / "videos").mkdir(parents=True)
    target = "results/charades_ensemble.json"
    status, said = snakemake(tmp_path, "--dry-run", target, config=(RECIPE,))
    assert status == 1
    for key, complaint in {
        "datasets.kinetics400.videos": "no folder data/kinetics400/videos",
        "datasets.kinetics400.annotations.training": "no file data/kinetics400/train",
        "datasets.kinetics400.annotations.testing": "no file data/kinetics400/val",
        "datasets.charades.videos": "nothing in folder data/charades/videos",
        "datasets.charades.annotations.training": "no file data/charades/Charades",
        "datasets.charades.annotations.testing": "no file data/charades/Charades",
        "datasets.charades.annotations.classes": "no file data/charades/Charades",
        "pretrain.init": "no file weights/x3d_m_kinetics400.safetensors",
    }.items():
        assert said.count(f"{key}: {complaint}") == 1
    assert "multithumos" not in said
    assert said.count("error:") == 1
    assert "Traceback" not in said
    assert "Exception" not in said


def test_an_inventory_asks_for_its_own_set_only(tmp_path):
    target = "results/multithumos/inventory.csv"
    status, said = snakemake(tmp_path, "--dry-run", target, config=(RECIPE,))
    assert status == 1
    assert "datasets.multithumos.videos: no folder" in said
    assert "kinetics400" not in said.split("error:")[1]
    assert "pretrain.init" not in said


def test_the_default_target_asks_for_every_set(tmp_path):
    status, said = snakemake(tmp_path, "--dry-run", config=(RECIPE,))
    assert status == 1
    for dataset in ("kinetics400", "charades", "multithumos"):
        assert said.count(f"datasets.{dataset}.videos: no folder") == 1


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"fine": {"epoch": 3}}, "fine.epoch: no such key"),
        ({"fine": {"batch_size": 3}}, r"fine.batch_size \(3\) must be a multiple"),
        ({"synthetic": {"detection": "thumos"}}, "synthetic names thumos, which"),
        (
            {"datasets": {"charades": {"videos": "videos"}}},
            "datasets.charades.videos: videos should be results/test/synthetic",
        ),
        (
            {"ensembles": {"x_ensemble": ["fine_cls"]}, "datasets": {"charades_x": {}}},
            "datasets.charades_x.format: missing",
        ),
    ],
    ids=["unknown key", "bad value", "unknown set", "moved videos", "missing keys"],
)
def test_a_bad_config_ends_with_its_keys(tmp_path, sections, message):
    config = changed(tmp_path, **sections)
    status, said = snakemake(tmp_path, "--dry-run", "demo", config=config)
    assert status == 1
    assert re.search(message, said), said
    assert "Traceback" not in said


def test_names_that_give_one_file_two_meanings_are_refused(tmp_path):
    charades = yaml.safe_load(RECIPE.read_text())["datasets"]["charades"]
    config = changed(
        tmp_path,
        datasets={"charades_x": charades, "pretrain": charades, "cost": charades},
        ensembles={"x_fine_cls": ["fine_cls"]},
    )
    status, said = snakemake(tmp_path, "--dry-run", "demo", config=config)
    assert status == 1
    assert "charades_x_fine_cls.json could mean two results" in said
    assert "datasets.pretrain: results have a folder of this name" in said
    assert "datasets.cost: results have a table of this name" in said


def test_the_demo_without_generated_videos_says_what_to_give(tmp_path):
    status, said = snakemake(tmp_path, "--dry-run", "demo", config=(RECIPE,))
    assert status == 1
    assert "--configfile config/demo.yaml" in said


OWN = "video_id,start_s,end_s,label\n"


@pytest.fixture
def own_videos(tmp_path):
    """One's own data: a table of 130 videos, and a table of clips to pretrain on."""
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "v000.mp4").write_text("")
    rows = [f"v{n:03d},0.5,2.5,run\nv{n:03d},1,3,jump\n" for n in range(129)]
    (tmp_path / "training.csv").write_text(OWN + "".join(rows[:65]) + "v129,,,\n")
    (tmp_path / "testing.csv").write_text(OWN + "".join(rows[65:]))
    mine = yaml.safe_load((ROOT / "config" / "own_videos.yaml").read_text())["datasets"]
    mine = mine["mine"] | {
        "videos": "videos",
        "annotations": {
            "training": "training.csv",
            "testing": "testing.csv",
            "classes": None,
        },
    }
    sets = {"mine": mine, "clips": mine}
    path = tmp_path / "mine.yaml"
    path.write_text(
        yaml.safe_dump(
            {"datasets": sets, "classification": "clips", "pretrain": {"init": None}}
        )
    )
    return (RECIPE, path)


def test_plan_for_ones_own_videos(tmp_path, own_videos):
    """130 videos are three shards, 0..64 and 129 training: shards 0, 1 and 2."""
    jobs = plan(tmp_path, "results/mine_ensemble.json", config=own_videos)
    assert jobs["extract_frames"] == 6
    assert (jobs["pretrain"], jobs["train_fine"], jobs["predict"]) == (4, 4, 6)
    # training lies in shards 0, 1 (v064) and 2 (v129); testing in 1 and 2 (v128)
    assert jobs["extract_features"] == 4 * (3 + 2)


def test_bad_labels_stop_the_plan(tmp_path, own_videos):
    with (tmp_path / "testing.csv").open("a") as table:
        table.write("v128,9,7,run\n")
    target = "results/mine_fine_cls.json"
    status, said = snakemake(tmp_path, "--dry-run", target, config=own_videos)
    assert status == 1
    assert "v128" in said
    assert "Traceback" not in said


@pytest.fixture
def reads(checkout):
    """A checkout that notes in a file which data sets' labels it reads."""
    module = checkout / "ssdet" / "data" / "annotations.py"
    with module.open("a") as file:
        file.write(
            "\n\n_read = read_dataset\n\n\n"
            "def read_dataset(name, *rest):\n"
            '    with open("reads.txt", "a") as file:\n'
            '        file.write(name + "\\n")\n'
            "    return _read(name, *rest)\n"
        )
    return checkout / "workflow" / "Snakefile"


def test_a_plan_reads_the_labels_of_a_set_once(tmp_path, own_videos, reads):
    """However many jobs need them: Kinetics has 240,000 clips and 3,750 shards."""
    target = "results/mine_ensemble.json"
    jobs = plan(tmp_path, target, config=own_videos, snakefile=reads)
    assert sum(jobs.values()) > 40
    assert sorted((tmp_path / "reads.txt").read_text().split()) == ["clips", "mine"]


def test_the_plan_of_a_submitted_shard_reads_no_labels(tmp_path, own_videos, reads):
    """Each job on a cluster plans itself; 3,750 of them should not all read them."""
    inventory = tmp_path / "results" / "mine" / "inventory.csv"
    inventory.parent.mkdir(parents=True)
    inventory.touch()
    target = "results/mine/frames/shard-001.h5"
    only = ("--dry-run", "--allowed-rules", "extract_frames", "--", target)
    status, said = snakemake(tmp_path, *only, config=own_videos, snakefile=reads)
    assert status == 0, said
    assert not (tmp_path / "reads.txt").exists()


def test_labels_that_are_not_the_published_ones_stop_the_plan(tmp_path, own_videos):
    recipe = yaml.safe_load(own_videos[1].read_text())
    recipe["datasets"]["mine"]["expected"] = {
        "training": 66,
        "testing": 65,
        "classes": 2,
    }
    own_videos[1].write_text(yaml.safe_dump(recipe))
    target = "results/mine/inventory.csv"
    status, said = snakemake(tmp_path, "--dry-run", target, config=own_videos)
    assert status == 1
    assert "testing: 64, expected 65" in said
    assert "training:" not in said
    assert "datasets.mine.expected" in said
    assert "Traceback" not in said


def test_the_profile_for_slurm_is_found_from_the_root():
    """`snakemake --profile slurm`, as typed: jobs go to Slurm, 64 at a time."""
    command = [sys.executable, "-m", "snakemake", "--profile", "slurm", "--dry-run"]
    command += ["--configfile", RECIPE, TINY, "--", f"{RESULTS}/charades_fine_cls.json"]
    done = subprocess.run(
        list(map(str, command)), cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (
        "slurm and workflow specific profile workflow/profiles/default" in done.stderr
    )
    assert (ROOT / "slurm").resolve() == ROOT / "workflow" / "profiles" / "slurm"


def test_the_default_profile_sets_nothing_that_binds_a_cluster():
    """It is read after --profile slurm: cores and resources would bind its jobs."""
    path = ROOT / "workflow" / "profiles" / "default" / "config.yaml"
    options = set(yaml.safe_load(path.read_text()))
    assert not options & {"cores", "jobs", "resources", "executor", "default-resources"}


# --------------------------------------------------------------------- published tables


def test_every_row_that_the_tables_name_can_be_built(tmp_path):
    """Of the generated set; MultiTHUMOS is not there."""
    tables = {"tables": [str(ROOT / "config" / "tables.yaml")]}
    config = changed(tmp_path, report=tables)
    status, said = snakemake(tmp_path, "--dry-run", "paper_results", config=config)
    assert status == 0, said
    for name in ("fine_joint", "tgm_se_joint", "pdan_cls", "coarse_joint_fine_cls"):
        assert f"{RESULTS}/charades_{name}.json" in said
    assert "multithumos" not in said.split("rule paper_results")[1].split("jobid")[0]


def test_tables_that_are_not_there_are_named(tmp_path):
    status, said = snakemake(tmp_path, "--dry-run", "paper_tables")
    assert status == 1
    assert "report.tables: no file config/tables.yaml" in said


@pytest.mark.slow
def test_the_papers_tables_are_made_of_what_there_is(tmp_path):
    tables = {"tables": [str(ROOT / "config" / "tables.yaml")]}
    config = changed(tmp_path, report=tables)
    status, said = snakemake(tmp_path, "paper_tables", config=config)
    assert status == 0, said
    folder = tmp_path / RESULTS
    for name in ("table1", "table2a", "table2b", "table3"):
        text = (folder / "tables" / f"{name}.md").read_text()
        assert "not built yet" in text
        assert ("generated videos" in text) == (name != "table3")
        with (folder / "tables" / f"{name}.csv").open() as table:
            rows = list(csv.DictReader(table))
        assert {row["status"] for row in rows} <= {
            "published only",
            "not built yet",
            "not in the configuration",
        }
    assert "<svg" in (folder / "figures" / "figure2.svg").read_text()[:1000]
    assert plan(tmp_path, "paper_tables", config=config) == Counter()


# ----------------------------------------------------------------------------- for real


@pytest.mark.slow
@pytest.mark.timeout(1800)
def assert_predicted_alike(path, folder):
    """See that `ssdet predict` gives the logits of a file of the stage predict."""
    with Predictions(path) as known:
        checkpoint = folder / known.provenance["parents"]["checkpoint"]["path"]
        if load_checkpoint(checkpoint)["stage"] == "head":
            return  # reads features alone
        videos = folder / RESULTS / "synthetic" / "charades" / "videos"
        files = [str(videos / f"{name}.mp4") for name in known.video_ids]
        out = folder / "new.h5"
        assert cli.main(["predict", str(checkpoint), *files, "--logits", str(out)]) == 0
        with Predictions(out) as new:
            for name in known.video_ids:
                assert np.array_equal(new[name][0], known[name][0]), path.name


def test_the_whole_chain_runs(tmp_path, subtests):
    """From no files at all to every result, table and figure; then reruns."""
    status, said = snakemake(tmp_path, "demo")
    assert status == 0, said
    folder = tmp_path / RESULTS

    result = json.loads((folder / "charades_ensemble.json").read_text())
    assert result["dataset"] == "charades"
    assert result["name"] == "ensemble"
    assert result["videos"]["expected"] == result["videos"]["evaluated"] == 2
    assert result["videos"]["missing"] in (0, [])
    assert len(result["members"]) == 6
    assert result["seed"] == 0
    for metric in ("dense_map", "map_25", "map_25_weighted"):
        assert 0 <= result["metrics"][metric] <= 1
    assert {"per_class", "chance"} <= set(result["metrics"])
    assert {"config", "config_sha256", "commit", "parents", "versions"} <= set(
        result["provenance"]
    )

    with (folder / "charades" / "inventory.csv").open() as table:
        assert [row["status"] for row in csv.DictReader(table)] == ["ok"] * 6
    with (folder / "tables" / "charades.csv").open() as table:
        assert len(list(csv.DictReader(table))) == 16
    assert "|" in (folder / "tables" / "charades.md").read_text()
    figures = sorted((folder / "figures").glob("charades_*.svg"))
    assert len(figures) == 20
    assert len(list((folder / "tables").glob("charades_*_errors.csv"))) == 5
    assert all("<svg" in figure.read_text()[:1000] for figure in figures)
    assert not list(folder.rglob("*.tmp"))
    assert not list(folder.rglob("*.resume"))

    # Every parent is named, down to the videos, and is as it was.
    shutil.copytree(ROOT / "config", tmp_path / "config")
    target, tiny = f"{RESULTS}/charades_ensemble.json", "config/test.yaml"
    status, report = provenance(tmp_path, target, "--configfile", tiny, "--videos")
    edges = [edge for node in report["nodes"] for edge in node["parents"]]
    assert status == 0, [edge for edge in edges if edge["state"] != "ok"]
    assert {edge["state"] for edge in edges} == {"ok"}
    assert {node["stage"] for node in report["nodes"]} == {
        *("ensemble", "predict", "coarse_fine", "extract_features", "fine"),
        *("pretrain", "extract_frames", "inventory", None),
    }
    named = {node["path"] for node in report["nodes"] if node["path"].endswith(".csv")}
    assert named >= {
        f"{RESULTS}/{s}/inventory.csv" for s in ("charades", "kinetics400")
    }

    # Files that no data set knows are predicted as those of the set were.
    for path in sorted((folder / "charades" / "predictions").glob("*.h5")):
        assert_predicted_alike(path, tmp_path)

    # A checkpoint that was tampered with.
    copy = tmp_path / "copy" / RESULTS
    shutil.copytree(folder, copy)
    with (copy / "pretrain" / "cls" / "checkpoint.pt").open("r+b") as file:
        file.seek(-100, os.SEEK_END)
        file.write(b"tampered")
    status, report = provenance(tmp_path / "copy", target)
    edges = [edge for node in report["nodes"] for edge in node["parents"]]
    wrong = {edge["path"] for edge in edges if edge["state"] != "ok"}
    assert status == 1
    videos = {f"{RESULTS}/synthetic/{s}/videos" for s in ("charades", "kinetics400")}
    assert wrong - videos == {f"{RESULTS}/pretrain/cls/checkpoint.pt"}

    # A second run does nothing, and a change reruns what it should, as the plans say.
    assert plan(tmp_path) == Counter()
    same = changed(tmp_path, resources={"workers": 3})
    assert plan(tmp_path, config=same) == Counter()
    other = changed(tmp_path, fine={"learning_rate": 0.002})
    jobs = plan(tmp_path, config=other)
    assert set(jobs) - {"demo"} == following("train_fine")

    # One result with the change: its members alone are trained again.
    target = f"{RESULTS}/charades_fine_mixup.json"
    before = (folder / "pretrain" / "mixup" / "checkpoint.pt").stat().st_mtime_ns
    status, said = snakemake(tmp_path, target, config=other)
    assert status == 0, said
    after = (folder / "pretrain" / "mixup" / "checkpoint.pt").stat().st_mtime_ns
    assert before == after
    assert plan(tmp_path, target, config=other) == Counter()

    # The report of it all.
    status, said = snakemake(tmp_path, "--report", "report.zip", "demo")
    assert status == 0, said
    assert 10_000 < (tmp_path / "report.zip").stat().st_size < 20_000_000
    with subtests.test("the report in Chromium"):
        complaints, shown, timelines = look_through(
            tmp_path / "report.zip", tmp_path / "unpacked"
        )
        assert complaints == []
        assert (shown, timelines) == (28, 5)
