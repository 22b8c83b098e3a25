"""`ssdet provenance` as one types it, on files by the real writers."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from ssdet import cli
from tests.commands.lineage.chain import FINE, RESULT, Chain

CONFIG = ("--configfile", "config/test.yaml")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A whole chain, to be copied."""
    folder = tmp_path_factory.mktemp("chain")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Chain().all()
    return folder


@pytest.fixture
def chain(made, tmp_path, monkeypatch):
    """A copy of it, in which the test works."""
    shutil.copytree(made, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")


@pytest.fixture
def ask(chain, capsys):
    """A function that runs the command; returns exit status, what was said."""

    def ask(*arguments):
        status = cli.main(["provenance", *arguments])
        out, err = capsys.readouterr()
        return status, err if status == 2 else out

    return ask


def parents(report, path):
    """name -> state of the parents of a file in a report."""
    (node,) = [node for node in report["nodes"] if node["path"] == path]
    return {edge["name"]: edge["state"] for edge in node["parents"]}


def bad(report):
    """Paths of parents that are changed or missing."""
    return {
        edge["path"]
        for node in report["nodes"]
        for edge in node["parents"]
        if edge["state"] in ("changed", "missing")
    }


def flip(path):
    """Change one byte in the middle of a file."""
    data = bytearray(Path(path).read_bytes())
    data[len(data) // 2] ^= 1
    Path(path).write_bytes(data)


def test_every_parent_is_named_down_to_the_videos(ask):
    status, said = ask(RESULT, *CONFIG, "--json")
    assert status == 0, said
    report = json.loads(said)
    assert report["good"] and not any(node["stale"] for node in report["nodes"])
    labels = {f"labels/{name}": "ok" for name in ("training", "testing", "classes")}
    assert parents(report, RESULT) == {
        "predictions/fine_cls": "ok",
        "predictions/coarse_freeze_fine_cls": "ok",
        "inventory": "ok",
        **labels,
    }
    folder = "results/test/charades"
    pair = f"{folder}/predictions/coarse_freeze_fine_cls.h5"
    read = {"checkpoint": "ok", "inventory": "ok", "frames": "ok", **labels}
    assert parents(report, pair) == {**read, "features": "ok"}
    trained = {"inventory": "ok", "frames": "ok", "training": "ok", "init": "ok"}
    trained |= {name: "ok" for name in labels if name != "labels/training"}
    assert parents(report, FINE) == trained
    two = f"{folder}/coarse_fine/freeze_cls/checkpoint.pt"
    assert parents(report, two) == {**trained, "features": "ok"}
    assert parents(report, f"{folder}/features/cls/training") == read
    assert parents(report, f"{folder}/frames") == {"inventory": "ok"}
    table = f"{folder}/inventory.csv"
    assert parents(report, table) == {**labels, "videos": "unchecked"}
    paths = [node["path"] for node in report["nodes"]]
    assert len(paths) == len(set(paths))
    assert "results/test/pretrain/freeze/checkpoint.pt" in paths


def test_the_tree_shows_shared_parents_once(ask):
    status, said = ask(RESULT, *CONFIG)
    assert status == 0
    lines = said.splitlines()
    assert lines[0].startswith(f"{RESULT}, ensemble revision ")
    full = [x for x in lines if f" {FINE}, fine revision 1" in x]
    again = [x for x in lines if x.endswith(f" checkpoint {FINE} see above")]
    assert len(full) == 1 and len(again) == 2  # of both splits' features
    assert sum("/frames, 2 files, extract_frames" in line for line in lines) == 1
    labels = "ok labels/classes, labels/testing, labels/training see above"
    assert sum(line.endswith(labels) for line in lines) == 5  # not for trainings
    assert lines[-2:] == [
        "Everything recorded is as it was.",
        "Compared with the configuration config/config.yaml, config/test.yaml.",
    ]


def test_a_tampered_checkpoint_is_reported(ask):
    flip(FINE)
    status, said = ask(RESULT)
    assert status == 1
    assert f"changed: {FINE} (its record is of another file)" in said
    status, said = ask(RESULT, "--json")
    assert bad(json.loads(said)) == {FINE}
    status, said = ask(FINE)  # also when asked for itself
    assert status == 1 and f"changed: {FINE}" in said


def test_a_checkpoint_that_was_trained_again_is_reported(ask):
    """The new one fits its own record, but not what its children read."""
    init = Path("results/test/pretrain/cls/checkpoint.pt")
    Chain().fine(init, "cls", seed=1)
    status, said = ask(RESULT)
    assert status == 1
    assert f"changed: {FINE} (not the one that was read)" in said
    assert ask(FINE)[0] == 0


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("results/test/charades/features/cls/testing/shard-001.h5", "not the one"),
        ("results/test/charades/predictions/fine_cls.h5", "not the one"),
        ("results/test/synthetic/charades/testing.csv", "not the one"),
        ("results/test/charades/inventory.csv", "another file|bad rows"),
    ],
)
def test_any_hashed_file_that_changed_is_reported(ask, path, why):
    with open(path, "ab") as file:
        file.write(b"\n")
    status, said = ask(RESULT)
    assert status == 1
    name = re.escape(path.removesuffix("/shard-001.h5"))
    assert re.search(f"changed: {name} \\(.*({why})", said), said


def test_frames_that_were_made_otherwise_are_reported(ask):
    """Packed anew after the inventory changed: children read other frames."""
    again = Chain()
    again.inventory(a="0" * 64)
    again.frames()
    status, said = ask(RESULT, "--json")
    assert status == 1
    folder = "results/test/charades"
    assert {f"{folder}/frames", f"{folder}/inventory.csv"} <= bad(json.loads(said))


@pytest.mark.parametrize("name", ["frames/shard-001.h5", "fine/cls/checkpoint.pt"])
def test_what_is_missing_is_reported(ask, name):
    Path("results/test/charades", name).unlink()
    status, said = ask(RESULT)
    assert status == 1
    assert re.search(r"^missing: results/test/charades/(frames|fine/cls)", said, re.M)
    assert "start in the folder in which Snakemake was started" in said


def test_videos_are_hashed_if_one_asks(ask):
    video = Path("results/test/synthetic/charades/videos/a.mp4")
    assert ask(RESULT, "--videos")[0] == 0
    video.write_text("another video")
    assert ask(RESULT)[0] == 0
    status, said = ask(RESULT, "--videos")
    assert status == 1 and f"changed: {video.parent} (1: a)" in said
    video.unlink()
    status, said = ask(RESULT)
    assert status == 1 and f"missing: {video.parent} (1: a)" in said


def test_what_is_stale_is_named_key_by_key(ask):
    change = {"fine": {"learning_rate": 0.5}, "ensembles": {"two": ["fine_cls"]}}
    Path("other.yaml").write_text(yaml.safe_dump(change))
    status, said = ask(RESULT, *CONFIG, "other.yaml", "--json")
    assert status == 1
    stale = {n["path"]: n["stale"] for n in json.loads(said)["nodes"] if n["stale"]}
    assert stale.pop(FINE) == ["fine.learning_rate: 0.001 -> 0.5"]
    assert stale.pop(RESULT) == [
        'ensembles.two: ["fine_cls", "coarse_freeze_fine_cls"] -> ["fine_cls"]'
    ]
    assert not stale
    status, said = ask(RESULT, *CONFIG, "other.yaml")
    assert "stale: fine.learning_rate: 0.001 -> 0.5" in said
    assert f"stale: {FINE}" in said.splitlines()


def test_other_seeds_lie_in_folders_that_say_so(ask):
    """A seed of its own is not stale there; another one than the folder's is."""
    init = Path("results/test/pretrain/cls/checkpoint.pt")
    out = FINE.replace("charades", "seed_1/charades")
    Chain().fine(init, "cls", 1, out)
    assert ask(out, *CONFIG)[0] == 0
    Chain().fine(init, "cls", 2, out)
    status, said = ask(out, *CONFIG)
    assert status == 1 and "stale: seed: 2 -> 1" in said


def test_without_a_file_the_configuration_is_compared_if_it_is_theirs(ask):
    """config.yaml alone puts results elsewhere; where it does not, it is compared."""
    status, said = ask(RESULT)
    assert status == 0
    assert "No configuration was compared" in said and "--configfile FILE" in said
    text = Path("config/config.yaml").read_text()
    moved = re.sub(r"^results: \S+", "results: results/test", text, flags=re.M)
    Path("config/config.yaml").write_text(moved)
    status, said = ask(RESULT)
    assert status == 1
    assert "Compared with the configuration config/config.yaml." in said
    assert "stale: model.depth_factor: 0.2 -> " in said
    Path("config/config.yaml").unlink()
    status, said = ask(RESULT)
    assert status == 0 and "there is no config/config.yaml here" in said


@pytest.mark.parametrize(
    ("path", "stage"),
    [
        ("results/test/charades/predictions/fine_cls.h5", "predict"),
        ("results/test/charades/features/cls/testing/shard-000.h5", "extract_features"),
        ("results/test/charades/frames/shard-000.h5", "extract_frames"),
        ("results/test/charades/inventory.csv", "inventory"),
        ("results/test/charades/inventory.json", "inventory"),
        (FINE, "fine"),
        (FINE.replace(".pt", ".json"), "fine"),
    ],
)
def test_every_kind_of_file_can_be_asked_for(ask, path, stage):
    status, said = ask(path, *CONFIG)
    assert status == 0, said
    assert f", {stage} revision " in said.splitlines()[0]


def test_a_lost_record_leaves_what_the_checkpoint_holds(ask):
    """Hashes of parents, but no paths: nothing is wrong, and less is known."""
    Path(FINE.replace(".pt", ".json")).unlink()
    status, said = ask(FINE, *CONFIG)
    assert status == 0
    assert "unrecorded init (its path was not recorded), known by " in said
    assert "4 parents could not be looked at" in said


def test_an_edited_record_is_reported(ask):
    path = Path(FINE.replace(".pt", ".json"))
    path.write_text(path.read_text().replace('"epochs": 2', '"epochs": 3'))
    status, said = ask(RESULT)
    assert status == 1 and f"changed: {FINE} (its record was edited)" in said


def test_another_revision_is_stale_without_a_configuration(ask):
    """The record of a file of an older program."""
    path = Path(RESULT)
    content = json.loads(path.read_text())
    content["provenance"]["revision"] = 0
    path.write_text(json.dumps(content))
    status, said = ask(RESULT)
    assert status == 1
    assert re.search(r"^stale: REVISION of ensemble: 0 -> \d+$", said, re.M)


def test_bad_input_ends_with_2(ask):
    Path("notes.txt").write_text("nothing")
    Path("own.json").write_text('{"results": 1}')
    Path("cut.h5").write_bytes(Path(RESULT).read_bytes())
    for arguments, message in [
        (["notes.txt"], "notes.txt does not say how it was made; files that do: "),
        (["own.json"], "own.json does not say how it was made"),
        (["cut.h5"], "cut.h5 is damaged"),
        (["gone.json"], "no file gone.json"),
        ([], "give one FILE, or two with --diff A B"),
        ([RESULT, "--configfile", "no.yaml"], "no file no.yaml"),
        (["--diff", RESULT, "notes.txt"], "notes.txt does not say how it was made"),
    ]:
        status, said = ask(*arguments)
        assert status == 2
        assert said.startswith(f"error: {message}")
