from dataclasses import replace

import pytest

from ssdet.commands.lineage.videos import digest, inventory_rows, video_changes
from ssdet.data.inventory import InventoryRow, write_inventory
from ssdet.data.probed import probe_folder

ROW = InventoryRow("a", "x/a.mp4", 12.0, 24, 2.0, 32, 32, 0, "h264", "1", "ok", "")


def test_videos_of_two_inventories():
    old = [ROW, replace(ROW, video_id="b"), replace(ROW, video_id="c")]
    new = [
        replace(ROW, path="moved/a.mp4"),
        replace(ROW, video_id="b", sha256="2"),
        replace(ROW, video_id="d"),
    ]
    changes = {"added": ["d"], "removed": ["c"], "changed": ["b"]}
    assert video_changes(old, new) == changes
    lost = replace(ROW, status="excluded", sha256="", frames=0, fps=0, duration_s=0)
    assert video_changes([ROW], [lost])["changed"] == ["a"]


def test_rows_of_an_inventory_and_of_no_other_table(tmp_path):
    path = tmp_path / "inventory.csv"
    write_inventory(path, [ROW])
    assert inventory_rows(path) == (ROW,)
    other = tmp_path / "labels.csv"
    other.write_text("video_id,start_s\n")
    assert inventory_rows(other) == ()
    path.write_text(path.read_text().replace("24", "many"))
    with pytest.raises(ValueError, match="bad rows"):
        inventory_rows(path)


def test_a_folder_of_frames_has_the_hash_of_the_inventory(tmp_path):
    image = pytest.importorskip("PIL.Image")
    folder = tmp_path / "a"
    folder.mkdir()
    for number in (1, 2):
        picture = image.new("RGB", (8, 8), (number, 0, 0))
        picture.save(folder / f"a-{number:06d}.jpg")
    before = digest(folder)
    assert before == probe_folder(folder, 24.0).sha256 != ""
    (folder / "a-000002.jpg").unlink()
    assert digest(folder) not in ("", before)
    assert digest(tmp_path / "none.mp4") == ""
