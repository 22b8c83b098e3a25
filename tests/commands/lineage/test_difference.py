"""Why two files differ, on files by the real writers."""

import json
from pathlib import Path

import pytest

from ssdet import cli
from ssdet.commands.lineage.difference import compare
from ssdet.commands.lineage.walk import walk
from tests.commands.lineage.chain import FINE, RESULT, Chain
from tests.tiny import tiny_config

INIT = Path("results/test/pretrain/cls/checkpoint.pt")


@pytest.fixture
def chain(tmp_path, monkeypatch):
    """A chain as far as one pretrained checkpoint, and two places for more."""
    monkeypatch.chdir(tmp_path)
    chain = Chain()
    chain.sources()
    chain.inventory()
    chain.frames()
    chain.pretrain("cls")
    return chain


def result(chain, name, seed=0, config=None, dense_map=0.5):
    """A result of a detector of its own."""
    chain = Chain(config) if config else chain
    checkpoint = chain.fine(INIT, "cls", seed, out=f"{name}/checkpoint.pt")
    predictions = chain.predict("fine_cls", checkpoint)
    own = Path(name, "predictions.h5")
    predictions.rename(own)
    return chain.ensemble(name, {"fine_cls": own}, dense_map)


def differences(a, b):
    return compare(*walk([Path(a), Path(b)], False))


def test_the_same_chain_twice_differs_in_nothing(chain):
    found = differences(result(chain, "a"), result(chain, "b"))
    assert not found.differ


def test_config_keys_and_seeds_are_causes(chain):
    other = tiny_config(fine={"learning_rate": 0.5})
    a = result(chain, "a")
    b = result(chain, "b", seed=1, config=other, dense_map=0.25)
    found = differences(a, b)
    assert found.numbers == ["dense_map: 0.5 -> 0.25"]
    assert found.causes == {
        "fine.learning_rate: 0.001 -> 0.5": ["fine"],
        "seed: 0 -> 1": ["fine"],
    }
    assert not found.possible and not found.unexplained


def test_the_first_cause_comes_first(chain):
    """Other videos, then another augmentation: the stages are in their order too."""
    a = result(chain, "a")
    chain.table = Path("other/inventory.csv")
    chain.inventory(a="0" * 64)
    chain.folder = Path("other/frames")
    chain.frames()
    chain.config = tiny_config(spatial={"flip": 0.5})
    b = result(chain, "b")
    causes = list(differences(a, b).causes.items())
    assert causes == [
        (
            "inventory: 1 videos changed in B (a)",
            ["extract_frames", "fine", "predict", "ensemble"],
        ),
        ("spatial.flip: 0.0 -> 0.5", ["fine", "predict"]),
    ]


def test_numbers_that_nothing_explains(chain, capsys):
    """As GPUs do: the same job, other weights."""
    a, b = result(chain, "a"), result(chain, "b", seed=1, dense_map=0.75)
    for path in (Path("b/checkpoint.json"),):
        record = json.loads(path.read_text())
        first = json.loads(Path("a/checkpoint.json").read_text())["provenance"]
        record["provenance"] = first
        path.write_text(json.dumps(record))
    assert cli.main(["provenance", "--diff", str(a), str(b)]) == 1
    said = capsys.readouterr().out
    assert "dense_map: 0.5 -> 0.75" in said
    assert "  a/checkpoint.pt and b/checkpoint.pt\n" in said
    assert "Nothing in provenance explains it" in said
    record = json.loads(a.read_text())
    dirty = record["provenance"]["commit"].endswith("+dirty")
    assert ("that no commit holds (+dirty)" in said) == dirty


def test_commit_versions_and_device_may_change_numbers(chain, capsys):
    a, b = result(chain, "a"), result(chain, "b", dense_map=0.75)
    content = json.loads(b.read_text())
    content["provenance"]["device"] = "NVIDIA H100"
    content["provenance"]["versions"]["torch"] = "2.99"
    b.write_text(json.dumps(content))
    found = differences(a, b)
    assert not found.causes
    assert [line.split(":")[0] for line in found.possible] == [
        "versions.torch",
        "device",
    ]
    assert cli.main(["provenance", "--diff", str(a), str(b)]) == 1
    assert "None of it need change a number" in capsys.readouterr().out
    assert cli.main(["provenance", "--diff", str(a), str(b), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert {"what": "device: cpu -> NVIDIA H100", "stages": ["ensemble"]} in (
        report["possible"]
    )


def test_other_members(chain):
    a = result(chain, "a")
    names = {"fine_cls": Path("a/predictions.h5"), "fine_freeze": Path("a/more.h5")}
    chain.predict("fine_freeze", Path("a/checkpoint.pt")).rename("a/more.h5")
    b = chain.ensemble("b", names)
    assert list(differences(a, b).causes) == [
        "predictions/fine_freeze: only in B",
        'members: ["fine_cls"] -> ["fine_cls", "fine_freeze"]',
    ]


def test_a_checkpoint_that_two_members_share_is_explained_for_both(chain):
    paths = []
    for seed in (0, 1):
        checkpoint = chain.fine(INIT, "cls", seed, out=f"{seed}/checkpoint.pt")
        names = {"fine_cls": Path(f"{seed}/a.h5"), "fine_freeze": Path(f"{seed}/b.h5")}
        for name, path in names.items():
            chain.predict(name, checkpoint).rename(path)
        paths.append(chain.ensemble(str(seed), names))
    found = differences(*paths)
    assert found.causes == {"seed: 0 -> 1": ["fine"]}
    assert not found.unexplained


def test_labels_have_no_record_of_their_own(chain):
    a = result(chain, "a")
    path = Path("other.csv")
    path.write_text("other labels")
    chain.labels["testing"] = str(path)
    causes = differences(a, result(chain, "b")).causes
    old = chain.videos.with_name("testing.csv")
    assert list(causes) == [f"labels/testing: other content in {old} and {path}"]


def test_a_parent_that_is_gone_cannot_explain(chain):
    a, b = result(chain, "a"), result(chain, "b", seed=1)
    Path("a/checkpoint.pt").unlink()
    assert differences(a, b).causes == {
        "checkpoint: another; how it was made is not known (A's is missing)": [
            "predict"
        ]
    }


def test_two_stages_are_compared_in_what_both_read(chain):
    """The checkpoint of a single stream and that of another stage from it."""
    chain.features(chain.fine(INIT, "cls"))
    pair = chain.coarse_fine(chain.pretrain("freeze"))
    causes = differences(FINE, pair).causes
    assert list(causes) == [
        "pretext: cls -> freeze",
        "features: only in B",
        "stage: fine -> coarse_fine",
    ]
    assert causes["pretext: cls -> freeze"] == ["pretrain"]


def test_nothing_differs_from_itself(chain, capsys):
    a = str(result(chain, "a"))
    assert cli.main(["provenance", "--diff", a, a]) == 0
    assert "Nothing differs." in capsys.readouterr().out
    assert RESULT not in a
