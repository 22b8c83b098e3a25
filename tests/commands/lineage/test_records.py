import json

import h5py
import pytest

from ssdet.commands.lineage.records import read_record, subject
from ssdet.data.hdf5 import set_attributes
from ssdet.evaluate.detections import write_detections
from ssdet.files import sha256
from ssdet.provenance import block, now, write_record
from ssdet.train.checkpoint import finish_checkpoint

MADE = block("fine", 1, {"name": "charades", "seed": 0}, {}, now())


def test_a_result_says_how_it_was_made(tmp_path):
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"dataset": "charades", "provenance": MADE, "seed": 3}))
    record = read_record(path)
    assert (record.stage, record.dataset) == ("fine", "charades")
    assert record.content["seed"] == 3 and not record.edited


def test_detected_segments_say_it_among_what_was_used(tmp_path):
    path = tmp_path / "d.json"
    write_detections(path, {}, {"used": False, "provenance": MADE})
    assert read_record(path).dataset == "charades"


def test_attributes_of_a_shard_without_those_of_its_own(tmp_path):
    path = tmp_path / "shard-000.h5"
    with h5py.File(path, "w") as file:
        set_attributes(file, {"dataset": "mine", "shard": 0, "provenance": MADE})
    record = read_record(path)
    assert (record.stage, record.dataset) == ("fine", "mine")
    assert record.attributes == {"dataset": "mine"}


def test_a_checkpoint_and_the_record_beside_it(tmp_path):
    path = tmp_path / "checkpoint.pt"
    content = {"stage": "fine", "revision": 1, "config": {"name": "charades"}}
    content |= {"parents": {"init": "12ab"}, "classes": [], "weights": {}}
    finish_checkpoint(path, content, MADE)
    beside = tmp_path / "checkpoint.json"
    assert subject(beside) == subject(path) == path
    assert read_record(path).sha256 == sha256(path)
    beside.unlink()
    record = read_record(path)
    assert record.parents == {"init": {"path": "", "sha256": "12ab"}}
    assert (record.stage, record.sha256) == ("fine", "")


def test_folders_that_an_earlier_version_did_not_record(tmp_path):
    """Only the hash of how they were made is known; the name tells which."""
    path = tmp_path / "x.json"
    config = {"frames_made": "12ab", "features_made": "34cd"}
    old = block("coarse_fine", 1, config, {}, now())
    path.write_text(json.dumps({"provenance": old}))
    assert read_record(path).parents == {
        "frames": {"path": "", "made": "12ab"},
        "features": {"path": "", "made": "34cd"},
    }
    old["parents"]["features/shard-000.h5"] = {"path": "x/shard-000.h5", "sha256": "5"}
    path.write_text(json.dumps({"provenance": old}))
    assert set(read_record(path).parents) == {"frames", "features/shard-000.h5"}


@pytest.mark.parametrize(
    "content", ["[]", "{}", '{"provenance": 1}', '{"external_data": [], "results": 1}']
)
def test_what_says_nothing(tmp_path, content):
    path = tmp_path / "x.json"
    path.write_text(content)
    assert read_record(path) is None
    assert subject(path) == path


def test_damaged_files(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('{"provenance":')
    with pytest.raises(ValueError, match=r"x\.json is damaged: it is not JSON"):
        read_record(path)
    path = tmp_path / "x.h5"
    path.write_text("no HDF5")
    with pytest.raises(ValueError, match=r"x\.h5 is damaged .*; run its stage again"):
        read_record(path)


def test_an_edited_config_is_seen(tmp_path):
    path = tmp_path / "x.json"
    edited = {**MADE, "config": {"name": "charades", "seed": 1}}
    path.write_text(json.dumps({"provenance": edited}))
    assert read_record(path).edited


def test_a_table_is_not_an_inventory_because_of_what_lies_beside_it(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("video_id,start_s\n")
    write_record(path, MADE, sha256(path))
    assert read_record(path) is None
