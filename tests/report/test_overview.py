"""The stage `overview`: results followed back to labels, hours, both pages."""

import csv
import json

import h5py
import pytest

from ssdet.data.hdf5 import set_attributes
from ssdet.files import sha256
from ssdet.report import overview
from ssdet.report.hours import Job, gpus_held, hours_rows, read_jobs, total
from ssdet.report.lineage import lineage
from tests.browser import Browser

HEAD = (
    "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
)


def block(stage, seconds, gpu_hours, **parents):
    """A provenance block; parents are files that are there."""
    return {
        "stage": stage,
        "revision": 3,
        "config": {stage: {"note": "<b>bold</b>"}},
        "config_sha256": "c" * 64,
        "parents": {
            name: {"path": str(path), "sha256": sha256(path)}
            for name, path in parents.items()
        },
        "commit": "d" * 40 + "+dirty",
        "versions": {"python": "3.11.7", "cuda": None},
        "device": "a device",
        "started": "2026-01-01T00:00:00+00:00",
        "ended": f"2026-01-01T00:{seconds // 60:02d}:{seconds % 60:02d}+00:00",
        "gpu_hours": gpu_hours,
    }


@pytest.fixture
def home(tmp_path):
    """A result of one model, and all that it was made from."""
    labels, inventory = tmp_path / "train.csv", tmp_path / "inventory.csv"
    labels.write_text("labels")
    inventory.write_text("inventory")
    checkpoint = tmp_path / "fine" / "cls" / "checkpoint.pt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_text("weights")
    record = block("fine", 360, 0.2, training=labels, inventory=inventory)
    checkpoint.with_suffix(".json").write_text(json.dumps({"provenance": record}))
    predictions = tmp_path / "fine_cls.h5"
    record = block("predict", 36, 0.01, checkpoint=checkpoint, inventory=inventory)
    with h5py.File(predictions, "w") as file:
        set_attributes(file, {"provenance": record})
    metrics = {"dense_map": 0.5, "map_25": 0.25, "map_25_weighted": None}
    result = {
        "dataset": "home",
        "name": "fine_cls",
        "metrics": {**metrics, "chance": {"dense_map": 0.125}},
        "videos": {"evaluated": 3, "expected": 4},
        "members": [{"model": "fine_cls"}],
        "provenance": block("ensemble", 1, 0.0, predictions=predictions),
    }
    (tmp_path / "home_fine_cls.json").write_text(json.dumps(result))
    for name, seconds in {
        "train_fine/home/cls": 400,
        "train_fine/seed_1/home/cls": 320,
        "train_fine/elsewhere/cls": 1000,
        "predict/home/fine_cls": 36,
        "ensemble/home_fine_cls": 1,
        "pretrain/cls": 7200,
        "figures/home_fine_cls": 9,
    }.items():
        path = tmp_path / "benchmarks" / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{HEAD}{seconds}\t-\t{seconds}.4\t-\t-\t-\t-\t-\t-\t36\n")
    (tmp_path / "benchmarks" / "synthetic.tsv").write_text(
        HEAD + "0.01\t0:00:00\tNA\tNA\tNA\tNA\tNA\tNA\tNA\tNA\n"
    )
    return tmp_path


def test_results_are_followed_back_to_labels(home):
    made = lineage([home / "home_fine_cls.json"])
    rules = [file.rule for file in made.values()]
    assert rules == ["ensemble", "predict", "train_fine", "inventory", None]
    assert [file.there for file in made.values()] == [True] * 5
    checkpoint = made[str(home / "fine" / "cls" / "checkpoint.pt")]
    assert checkpoint.hashes == {"sha256": sha256(checkpoint.path)}
    assert set(checkpoint.parents) == {"training", "inventory"}


def test_a_folder_of_shards_is_one_parent(home):
    """Its record is that of its shards; a training's frames lie in such a folder."""
    (home / "frames").mkdir()
    for name in ("shard-000.h5", "shard-002.h5"):
        with h5py.File(home / "frames" / name, "w") as file:
            made = block("extract_frames", 60, 0.0, inventory=home / "inventory.csv")
            set_attributes(file, {"provenance": made})
    path = home / "fine" / "cls" / "checkpoint.json"
    record = json.loads(path.read_text())
    folder = {"path": str(home / "frames"), "made": "e" * 64}
    folder["files"] = ["shard-000.h5", "shard-002.h5"]
    unknown = {"path": "", "made": "f" * 64}
    record["provenance"]["parents"] |= {"frames": folder, "features": unknown}
    path.write_text(json.dumps(record))
    made = lineage([home / "home_fine_cls.json"])
    frames = made[str(home / "frames")]
    assert (frames.rule, frames.hashes) == ("extract_frames", {"made": "e" * 64})
    assert frames.files == ("shard-000.h5", "shard-002.h5")
    assert "" not in made


def test_what_is_gone_ends_the_way_there(home):
    (home / "fine" / "cls" / "checkpoint.json").unlink()
    (home / "fine" / "cls" / "checkpoint.pt").unlink()
    made = lineage([home / "home_fine_cls.json"])
    gone = made[str(home / "fine" / "cls" / "checkpoint.pt")]
    assert not gone.there and gone.block is None
    assert str(home / "train.csv") not in made


def test_a_result_without_a_record_is_refused(home):
    (home / "home_fine_cls.json").write_text("{}")
    with pytest.raises(ValueError, match=r"home_fine_cls\.json says nothing"):
        lineage([home / "home_fine_cls.json"])


def test_a_damaged_record_is_named(home):
    (home / "fine" / "cls" / "checkpoint.json").write_text("[")
    with pytest.raises(ValueError, match=r"checkpoint\.json is no JSON"):
        lineage([home / "home_fine_cls.json"])
    (home / "fine_cls.h5").write_text("x")
    with pytest.raises(ValueError, match=r"fine_cls\.h5 is damaged"):
        lineage([home / "home_fine_cls.json"])


def test_jobs_of_other_sets_do_not_count(home):
    jobs = read_jobs(home / "benchmarks", ["home", "clips"])
    assert [(job.rule, job.seconds) for job in jobs] == [
        ("synthetic", 0.01),
        ("pretrain", 7200.0),
        ("train_fine", 400.0),
        ("train_fine", 320.0),
        ("predict", 36.0),
        ("ensemble", 1.0),
    ]
    assert jobs[0] == Job("synthetic", 0.01, None, None)
    assert jobs[2] == Job("train_fine", 400.0, 36.0, 400.4)


def test_a_file_that_is_no_benchmark(home):
    (home / "benchmarks" / "predict" / "home" / "fine_cls.tsv").write_text("a\n1\n")
    with pytest.raises(ValueError, match=r"fine_cls\.tsv is no benchmark"):
        read_jobs(home / "benchmarks", ["home"])


def test_hours_of_each_stage(home):
    """The fine stage held two GPUs: 0.2 hours of them in 0.1 hours."""
    made = lineage([home / "home_fine_cls.json"]).values()
    rows = hours_rows(read_jobs(home / "benchmarks", ["home"]), made)
    stages = ["synthetic", "inventory", "pretrain", "train_fine", "predict", "ensemble"]
    assert [row["stage"] for row in rows] == stages
    fine = rows[3]
    assert (fine["jobs"], fine["hours"], fine["gpu_hours"]) == (2, 0.2, 0.4)
    assert (fine["cpu_hours"], fine["memory_mb"]) == (0.02, 400)
    assert (fine["revision"], fine["last_ended"]) == (3, "2026-01-01 00:06")
    assert (fine["reads"], rows[4]["reads"]) == ("pretrain", "train_fine")
    assert rows[1]["jobs"] == 0 and rows[1]["hours"] is None
    assert rows[0]["cpu_hours"] is None
    sums = total(rows)
    assert sums["jobs"] == 6
    assert sums["hours"] == pytest.approx((7200 + 720 + 37.01) / 3600)
    assert sums["gpu_hours"] == pytest.approx(0.4 + 0.01)
    assert sums["memory_mb"] == 7200


def test_gpus_of_short_and_unknown_jobs():
    assert gpus_held([]) == 0
    assert gpus_held([block("predict", 0, 0.0)]) == 0
    assert gpus_held([block("predict", 1, 0.0003)]) == 1


@pytest.fixture
def written(home):
    """What the stage writes."""
    out = {"page": "a.html", "provenance": "b.html", "csv": "c.csv", "md": "d.md"}
    arguments = ["--results", str(home / "home_fine_cls.json")]
    arguments += ["--benchmarks", str(home / "benchmarks"), "--datasets", "home"]
    for name, file in out.items():
        arguments += [f"--out-{name}", str(home / file)]
    overview.main(arguments)
    return {name: home / file for name, file in out.items()}


def test_both_tables_of_hours(written):
    with written["csv"].open() as file:
        rows = {row["stage"]: row for row in csv.DictReader(file)}
    assert float(rows["train_fine"]["gpu_hours"]) == 0.4
    assert "all" not in rows
    text = written["md"].read_text()
    assert "| train_fine | pretrain" in text and "0.400" in text
    assert "| all " in text


def test_both_pages_in_a_browser(written, tmp_path):
    with Browser(tmp_path / "profile") as browser:
        browser.open(written["page"])
        assert browser.text("h1") == "home at a glance"
        cells = "[...document.querySelector('tr:nth-child(2)').cells]"
        shown = ["fine_cls", "", "50.00", "25.00", "-", "12.50", "4.00", "3", "4"]
        assert browser.evaluate(f"{cells}.map((c) => c.textContent)") == shown
        box = "[data-stage=train_fine]"
        assert browser.text(f"{box} .fact") == "2 jobs, 12.0 min"
        assert browser.complaints() == []
        browser.open(written["provenance"])
        assert "<b>bold</b>" in browser.text("pre")
        browser.click("summary")
        links = "document.querySelectorAll('details[open] li a').length"
        assert browser.evaluate(links) == 6  # the inventory is a parent twice
        browser.click("details[open] li li li a")
        target = browser.text("section:target")
        assert "fine/cls/checkpoint.pt" in target and "fine, revision 3" in target
        assert "commit dddddddddddd with changes" in target
        assert (
            sha256(written["page"].parent / "fine" / "cls" / "checkpoint.pt") in target
        )
        assert browser.complaints() == []
