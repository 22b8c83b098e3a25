import json
from pathlib import Path

import pytest

from ssdet.commands.lineage.walk import every, walk
from ssdet.files import sha256
from ssdet.provenance import block, listing, now


def made(path, parents, stage="predict"):
    """A file whose record names these parents."""
    Path(path).write_text(
        json.dumps({"provenance": block(stage, 1, {}, parents, now())})
    )
    return Path(path)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def edges(path, **more):
    (root,) = walk([path], more.get("videos", False))
    return {edge.name: (edge.state, edge.why) for edge in root.parents}


def test_a_shared_parent_is_one_node_with_the_state_that_each_child_sees():
    top = made("top.json", {})
    a = made("a.json", {"top": top})
    made(top, {}, "fine")
    b = made("b.json", {"top": top})
    (root,) = walk([made("root.json", {"a": a, "b": b})], False)
    nodes = {node.path: node for node in every(root)}
    assert list(nodes) == ["root.json", "a.json", "top.json", "b.json"]
    (of_a,), (of_b,) = nodes["a.json"].parents, nodes["b.json"].parents
    assert of_a.node is of_b.node
    assert (of_a.state, of_b.state) == ("changed", "ok")


def test_a_folder_of_files_of_others_is_known_by_names_and_sizes():
    folder = Path("i3d")
    folder.mkdir()
    (folder / "a.npy").write_bytes(b"12")
    given = {"path": str(folder), "listing": listing(folder)}
    child = made("x.json", {"features": given})
    assert edges(child) == {"features": ("ok", "")}
    (folder / "a.npy").write_bytes(b"34")  # contents are not read
    assert edges(child) == {"features": ("ok", "")}
    (folder / "b.npy").write_bytes(b"")
    assert edges(child) == {"features": ("changed", "other files, or of other sizes")}
    (folder / "a.npy").unlink()
    (folder / "b.npy").unlink()
    folder.rmdir()
    assert edges(child) == {"features": ("missing", "")}


def test_hashed_shards_of_a_folder_are_one_parent():
    paths = [Path(f"shard-{number:03d}.h5") for number in range(3)]
    for path in paths:
        path.write_text(path.name)
    child = made("x.json", {f"features/{path.name}": path for path in paths})
    # text in place of HDF5: as bytes they are what was read, but nobody can read them
    state, why = edges(child)["features"]
    assert state == "changed" and "shard-000.h5 is damaged" in why
    paths[1].unlink()
    assert edges(child) == {"features": ("missing", "1: shard-001.h5")}


def test_a_file_that_is_its_own_parent_ends_the_walk():
    path = made("x.json", {})
    content = json.loads(path.read_text())
    content["provenance"]["parents"]["self"] = {"path": "x.json", "sha256": "0"}
    path.write_text(json.dumps(content))
    (root,) = walk([path], False)
    assert [edge.state for edge in root.parents] == ["changed"]
    assert [node.path for node in every(root)] == ["x.json"]


def test_large_files_are_announced(monkeypatch, capsys):
    monkeypatch.setattr("ssdet.commands.lineage.walk.LARGE", 10)
    top = Path("large.safetensors")
    top.write_text("more than ten bytes")
    child = made("x.json", {"init": top, "again": top})
    (root,) = walk([child], False)
    assert [edge.recorded for edge in root.parents] == [sha256(top)] * 2
    assert capsys.readouterr().err.count("hashing large.safetensors") == 1
