import hashlib
import os

import pytest

from ssdet.files import atomic, sha256, write_text


def test_a_file_is_written_whole(tmp_path):
    path = tmp_path / "new" / "a.txt"
    write_text(path, "now\n")
    assert path.read_text() == "now\n"
    assert sha256(path) == hashlib.sha256(b"now\n").hexdigest()
    assert os.listdir(path.parent) == ["a.txt"]


def test_an_error_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_what_a_killed_writer_left_is_removed(tmp_path):
    left = tmp_path / ".a.txt.elsewhere.7.tmp"
    left.write_text("half")
    (tmp_path / ".b.txt.elsewhere.7.tmp").write_text("of another file")
    write_text(tmp_path / "a.txt", "whole")
    assert sorted(os.listdir(tmp_path)) == [".b.txt.elsewhere.7.tmp", "a.txt"]


def test_a_full_disk_is_named_with_what_to_do(tmp_path):
    path = tmp_path / "a.txt"
    with (
        pytest.raises(OSError, match=r"cannot write .*a\.txt: No space .*`results`"),
        atomic(path) as temporary,
    ):
        temporary.write_text("x")
        with open("/dev/full", "w") as full:
            full.write("x")
            full.flush()
    assert os.listdir(tmp_path) == []
