import hashlib
import os
import platform
import shutil
import subprocess
import sys

import pytest

from ssdet.files import atomic, only_one, sha256, write_text


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


def test_a_writer_that_lives_keeps_its_file(tmp_path):
    parent = tmp_path / f".a.txt.{platform.node()}.{os.getppid()}.tmp"
    parent.write_text("half")
    write_text(tmp_path / "a.txt", "whole")
    assert parent.read_text() == "half"


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"cannot write .*file/a\.txt: File exists"):
        write_text(tmp_path / "file" / "a.txt", "text")


HOLD = """
import sys, time
from pathlib import Path
from ssdet.files import only_one
with only_one(Path(sys.argv[1]), "counts"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_only_one_process_works_in_a_folder(tmp_path):
    """The lock goes with its process, also if that is killed."""
    folder = tmp_path / "new" / "work"
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE
    )
    assert other.stdout.readline() == b"held\n"
    with (
        pytest.raises(OSError, match=r"another process counts .* \(it holds .*lock\)"),
        only_one(folder, "counts"),
    ):
        pass
    other.kill()
    other.wait()
    with only_one(folder, "counts"):
        (folder / "left").write_text("")
    assert sorted(os.listdir(folder)) == ["left", "lock"]
    with only_one(folder, "counts"):
        shutil.rmtree(folder)
    assert not folder.exists()


def test_a_folder_that_was_not_used_is_removed(tmp_path):
    with only_one(tmp_path / "work", "counts"), only_one(tmp_path / "work", "counts"):
        assert os.listdir(tmp_path / "work") == ["lock"]
    assert os.listdir(tmp_path) == []
