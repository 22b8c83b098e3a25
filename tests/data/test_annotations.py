"""Labels: every format, every error, repairs; then the published files."""

import argparse
import gzip
import json

import pytest

from ssdet.config import ConfigError
from ssdet.data.annotation_formats import AnnotationError
from ssdet.data.annotations import (
    Dataset,
    Segment,
    VideoRecord,
    add_dataset_arguments,
    dataset_from_arguments,
    read_dataset,
)

RECIPE = {"fps": None, "mean": [0, 0, 0], "std": [1, 1, 1]}
KINETICS = "label,youtube_id,time_start,time_end,split,is_cc\n"
CHARADES = "id,subject,actions,length\n"
TABLE = "video_id,start_s,end_s,label\n"
SPLIT = "video_id,start_s,end_s,label,split\n"


@pytest.fixture
def read(tmp_path):
    """Write label files and read them: read(format, training, testing, ...)."""

    def read(
        format, training, testing=None, classes=None, segments="refuse", durations=None
    ):
        paths = {}
        for name, text in [
            ("training", training),
            ("testing", testing),
            ("classes", classes),
        ]:
            if text is not None:
                paths[name] = tmp_path / name
                paths[name].write_text(text, encoding="utf-8", newline="")
        return read_dataset(
            "mine",
            {"format": format, "segments": segments, **RECIPE},
            paths["training"],
            paths.get("testing", paths["training"]),
            paths.get("classes"),
            durations,
        )

    return read


def multithumos(**videos):
    """The json text: name=(subset, duration, [[class, start, end], ...])."""
    return json.dumps(
        {
            name: {"subset": subset, "duration": duration, "actions": actions}
            for name, (subset, duration, actions) in videos.items()
        }
    )


# ---------------------------------------------------------------------------- formats


def test_kinetics(read):
    data = read(
        "kinetics",
        KINETICS + "zumba,-aB_c,7,17,train,0\nabseiling,xyz,120,130,train,1\n",
        KINETICS + "zumba,v1,0,5,validate,0\n",
    )
    assert data.classes == ("abseiling", "zumba")
    assert data.class_index == {"abseiling": 0, "zumba": 1}
    assert data.of("training") == (
        VideoRecord(
            "-aB_c_000007_000017", None, (Segment(0, 10, "zumba"),), "training"
        ),
        VideoRecord(
            "xyz_000120_000130", None, (Segment(0, 10, "abseiling"),), "training"
        ),
    )
    assert [record.video_id for record in data.of("testing")] == ["v1_000000_000005"]


def test_kinetics_segment_covers_the_clip_however_long_it_is(read):
    rows = KINETICS + "zumba,a,0,10,train,0\nzumba,b,0,10,test,0\n"
    durations = {"a_000000_000010": 8.2, "b_000000_000010": 10.5}
    data = read("kinetics", rows, durations=durations)
    assert [record.segments[0].end_s for record in data.records] == [8.2, 10.5]
    assert data.irregularities["past_end"] == 0


def test_charades(read):
    data = read(
        "charades",
        CHARADES + 'A1,S,"c001 1.50 4.00;c000 0.00 9.00",9.50\nA0,S,,20\n',
        CHARADES + 'B0,S,"c001 0 1",3\n',
        "c000 Holding some clothes\nc001 Putting them somewhere\nc002 Never\n",
    )
    assert data.classes == ("c000", "c001", "c002")
    first, second = data.of("training")
    assert first == VideoRecord("A0", 20.0, (), "training")
    assert second.duration_s == 9.5
    assert second.segments == (Segment(0, 9, "c000"), Segment(1.5, 4, "c001"))
    assert data.irregularities["without_actions"] == 1


@pytest.mark.parametrize(
    "classes",
    ["index,action,instances\n1,Run,3\n2,Sit down,1\n", "1 Run\n2 Sit down\n"],
)
def test_multithumos_classes_count_from_1(read, classes):
    text = multithumos(
        v2=("training", 10.0, [[2, 0.5, 1.5], [1, 0, 1]]),
        v1=("testing", 4, [[1, 0, 4]]),
    )
    data = read("multithumos", text, classes=classes)
    assert data.classes == ("Run", "Sit down")
    assert data.records == (
        VideoRecord("v1", 4.0, (Segment(0, 4, "Run"),), "testing"),
        VideoRecord(
            "v2",
            10.0,
            (Segment(0, 1, "Run"), Segment(0.5, 1.5, "Sit down")),
            "training",
        ),
    )


def test_numbers_without_a_class_list_are_sorted_by_value(read):
    text = multithumos(
        a=("training", 9, [[10, 0, 1], [2, 0, 1]]), b=("testing", 9, [[2, 0, 1]])
    )
    assert read("multithumos", text).classes == ("2", "10")


def test_table_in_two_files(read):
    data = read(
        "table",
        TABLE + "b,0.5,2,run\na, , ,\nb,0,1, sit \n",
        "label,end_s,start_s,video_id,comment\nrun,3,1,c,fine\n",
    )
    assert data.classes == ("run", "sit")
    assert data.records == (
        VideoRecord("a", None, (), "training"),
        VideoRecord(
            "b", None, (Segment(0, 1, "sit"), Segment(0.5, 2, "run")), "training"
        ),
        VideoRecord("c", None, (Segment(1, 3, "run"),), "testing"),
    )


@pytest.mark.parametrize(
    ("training", "testing"),
    [("training", "testing"), ("Train", "val"), ("train", "test")],
)
def test_table_in_one_file(read, training, testing):
    rows = f"a,0,1,run,{training}\nb,,,,{testing}\n"
    data = read("table", SPLIT + rows)
    assert [record.video_id for record in data.of("training")] == ["a"]
    assert [record.video_id for record in data.of("testing")] == ["b"]


def test_two_files_that_say_the_split_give_their_own_videos_each(read):
    both = SPLIT + "a,0,1,run,train\nb,0,1,run,test\n"
    data = read("table", both, both)
    assert [(r.video_id, r.split) for r in data.records] == [
        ("a", "training"),
        ("b", "testing"),
    ]


def test_gzip_and_byte_order_mark(tmp_path):
    rows = "\ufeff" + SPLIT + "ä 1,0,1,läuft,train\nb,0,1,läuft,test\n"
    path = tmp_path / "labels.csv.gz"
    path.write_bytes(gzip.compress(rows.encode()))
    recipe = {"format": "table", "segments": "refuse", **RECIPE}
    data = read_dataset("mine", recipe, path, path, None)
    assert [record.video_id for record in data.records] == ["b", "ä 1"]


def test_quoted_line_breaks_do_not_shift_row_numbers(read):
    rows = 'video_id,note,start_s,end_s,label\na,"one\ntwo",0,1,run\nb,x,0,oops,run\n'
    with pytest.raises(AnnotationError, match=r"training:4 \(b\): end_s"):
        read("table", rows, rows)


def test_of_refuses_other_words():
    with pytest.raises(ValueError, match="'train', expected training or testing"):
        Dataset("mine", (), (), {}).of("train")


# ----------------------------------------------------------------------------- errors

GOOD = TABLE + "z,0,1,run\n"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a,0,x,run", r"training:2 \(a\): end_s: expected a number .* found 'x'"),
        ("a,nan,1,run", r"training:2 \(a\): start_s: expected a number"),
        ("a,0,inf,run", r"training:2 \(a\): end_s: expected a number"),
        ("a,0,1,", r"training:2 \(a\): label empty; leave all of"),
        ("a,,1,run", r"training:2 \(a\): start_s empty"),
        ("a,0,1", "training:2: 3 cells, but the header has 4"),
        (",0,1,run", "training:2: the video id is empty"),
        ("../a,0,1,run", r"training:2: video id '../a' is not the name of a file"),
        ("..,0,1,run", "video id '..' is not the name"),
        ("/etc/x,0,1,run", "video id '/etc/x' is not the name"),
        ("a\\b,0,1,run", "is not the name of a file"),
        ("a\0b,0,1,run", r"video id 'a\\x00b' is not the name"),
        ('"a\nb",0,1,run', r"video id 'a\\nb' is not the name"),
        ("a" * 201 + ",0,1,run", "has 201 characters, at most 200 are allowed"),
        ("a,2,1,run", r"training:2 \(a\): run from 2 s to 1 s is reversed"),
        ("a,1,1,run", "run from 1 s to 1 s has zero length"),
        ("a,-1,1,run", "run starts at -1 s, before the video"),
    ],
)
def test_bad_rows_of_a_table(read, rows, message):
    with pytest.raises(AnnotationError, match=message):
        read("table", TABLE + rows + "\n", GOOD)


def test_longest_id_is_accepted(read):
    assert read("table", TABLE + "a" * 200 + ",0,1,run\n", GOOD).records


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("run,a,0,ten,train,0", "training:2: time_end: expected a number"),
        ("run,a,0,1.5,train,0", "time_end 1.5 must be whole seconds"),
        ("run,a,5,5,train,0", "must be whole seconds, the end after the start"),
        ("run,,0,5,train,0", "training:2: youtube_id is empty"),
        ("run,../a,0,5,train,0", "is not the name of a file"),
        (",a,0,5,train,0", r"training:2 \(a_000000_000005\): the label is empty"),
        ("run,a,0,5,holdout,0", "training:2: split is 'holdout', expected training or"),
        (
            "run,a,0,5,train,0\nsit,a,0,5,train,0",
            "training:3: video 'a_000000_000005' is named twice, first in .*training:2",
        ),
    ],
)
def test_bad_rows_of_kinetics(read, rows, message):
    good = KINETICS + "run,z,0,10,test,0\n"
    with pytest.raises(AnnotationError, match=message):
        read("kinetics", KINETICS + rows + "\n", good)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("A,S,c000 1,9", "'c000 1' should be a class, a start and an end"),
        ("A,S,c000 a 2,9", r"training:2 \(A\): start of 'c000 a 2': expected a number"),
        ("A,S,c000 1 2,", "training:2: length: expected a number of seconds, found ''"),
        ("A,S,c000 1 2,0", "a video lasts more than 0 s"),
        ("A,S,c009 1 2,9", r"label 'c009' is not one of the 1 classes of .*classes"),
        (
            "A,S,c000 1 9.06,9",
            "c000 from 1 s to 9.06 s is past the end, the video has 9",
        ),
        ("A,S,c000 9 9.04,9", "starts at the end"),
    ],
)
def test_bad_rows_of_charades(read, row, message):
    good = CHARADES + "Z,S,c000 0 1,3\n"
    with pytest.raises(AnnotationError, match=message):
        read("charades", CHARADES + row + "\n", good, "c000 Holding\n")


@pytest.mark.parametrize(
    ("video", "message"),
    [
        (("training", 9, [[1, 0]]), r"a, action 1: \[1, 0\] should be \[class, start"),
        (("training", 9, [[1, 0, None]]), "a, action 1: end: expected a number"),
        (("training", 9, [[1, 0, True]]), "a, action 1: end: expected a number"),
        (("other", 9, []), "a: subset is 'other', expected training or testing"),
        (("training", None, []), "a: duration: expected a number"),
        (("training", 9, [[0, 0, 1]]), "label '0' is not one of the 1 classes"),
        (("training", 9, "none"), "a: should hold subset, duration and a list"),
    ],
)
def test_bad_videos_of_multithumos(read, video, message):
    text = multithumos(
        a=video, y=("training", 9, [[1, 0, 1]]), z=("testing", 9, [[1, 0, 1]])
    )
    with pytest.raises(AnnotationError, match=message):
        read("multithumos", text, classes="1,Run\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "training:1: not JSON"),
        ("[]", "should be a JSON object of videos"),
        ('{"a": {"actions": []}, "a": {"actions": []}}', "'a' is named twice"),
    ],
)
def test_bad_json(read, text, message):
    with pytest.raises(AnnotationError, match=message):
        read("multithumos", text)


def test_all_problems_are_listed_together(read):
    rows = "a,0,x,run\na,3,2,run\n../b,0,1,run\nc,0,1,run\n"
    with pytest.raises(AnnotationError) as caught:
        read("table", TABLE + rows, TABLE + "c,0,1,sit\nd,0,0,run\n")
    message = str(caught.value)
    assert "The labels of mine have 6 problems" in message
    for part in (
        "training:2 (a): end_s",
        "training:3 (a): run from 3 s to 2 s is reversed",
        "training:4: video id '../b'",
        "testing:2: video 'c' is for testing, but",
        "testing:3 (d): run from 0 s to 0 s has zero length",
        "set datasets.mine.segments to repair",
    ):
        assert part in message


def test_a_long_list_is_cut_and_counted(read):
    rows = "".join(f"v{i},1,0,run\n" for i in range(150))
    with pytest.raises(AnnotationError, match=r"have 150 problems(?s:.*)and 50 more"):
        read("table", TABLE + rows, GOOD)


def test_missing_column(read):
    with pytest.raises(
        AnnotationError, match=r"training:1: no column end_s, label; .* found video_id"
    ):
        read("table", "video_id,start_s\na,1\n", GOOD)
    with pytest.raises(AnnotationError, match="found an empty file"):
        read("table", "", GOOD)


def test_empty_split(read):
    with pytest.raises(
        AnnotationError,
        match=r"testing: no video of split testing; .* datasets.<name>.annotations",
    ):
        read("table", GOOD, TABLE)
    with pytest.raises(AnnotationError, match="no video of split training"):
        read("table", SPLIT + "a,0,1,run,test\n")


def test_one_file_must_say_the_split(read):
    with pytest.raises(AnnotationError, match="is given for both splits"):
        read("table", GOOD)


def test_a_video_has_one_split(read):
    rows = SPLIT + "a,0,1,run,train\na,2,3,run,test\nb,0,1,run,test\n"
    with pytest.raises(
        AnnotationError,
        match=r"training:3 \(a\): split testing, but .*:2 says training",
    ):
        read("table", rows)


def test_label_only_in_testing(read):
    with pytest.raises(
        AnnotationError,
        match=r"testing:2 \(y\): label 'sit' is not one of the 1 classes of the",
    ):
        read("table", GOOD, TABLE + "y,0,1,sit\n")


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ("run\nsit\nrun\n", "classes:3: class 'run' is listed twice"),
        ("\n", "classes: lists no class"),
        ("sit\n", r"label 'run' is not one of the 1 classes of .*classes"),
    ],
)
def test_bad_class_lists(read, classes, message):
    with pytest.raises(AnnotationError, match=message):
        read("table", GOOD, TABLE + "y,0,1,run\n", classes)


def test_bad_class_list_of_multithumos(read):
    text = multithumos(a=("training", 1, []), b=("testing", 1, []))
    with pytest.raises(
        AnnotationError, match=r"classes:2: 'Run' should be a number and"
    ):
        read("multithumos", text, classes="index,action\nRun\n")


def test_unreadable_files(tmp_path):
    recipe = {"format": "table", "segments": "refuse", **RECIPE}
    path = tmp_path / "labels.csv"
    with pytest.raises(AnnotationError, match=r"no label file at .*labels.csv"):
        read_dataset("mine", recipe, path, path, None)
    path.write_bytes(TABLE.encode() + b"a,0,1,l\xe4uft\n")
    with pytest.raises(AnnotationError, match=r"labels.csv:2: not UTF-8 text"):
        read_dataset("mine", recipe, path, path, None)
    path.write_bytes(gzip.compress(GOOD.encode())[:-10])
    with pytest.raises(AnnotationError, match=r"cannot read .*labels.csv"):
        read_dataset("mine", recipe, path, path, None)


def test_bad_section(tmp_path):
    recipe = {"format": "excel", "segments": "refuse", **RECIPE}
    with pytest.raises(ConfigError, match=r"datasets.mine(?s:.*)format.*'excel'"):
        read_dataset("mine", recipe, tmp_path, tmp_path, None)


# ---------------------------------------------------------------------------- repairs


def test_repair_drops_cuts_and_counts(read):
    rows = "a,2,1,run\na,1,1,run\na,1,12,run\na,10,11,run\na,1,10,run\na,3,4,run\n"
    data = read("table", TABLE + rows, GOOD, segments="repair", durations={"a": 10.0})
    assert data.records[0].segments == (Segment(1, 10, "run"), Segment(3, 4, "run"))
    assert data.records[0].duration_s is None
    assert data.irregularities == {
        "reversed": 1,
        "zero_length": 1,
        "past_end": 2,  # one is cut, of the other nothing is left
        "duplicate": 1,  # of the one that was cut
        "without_actions": 0,
    }


def test_without_a_duration_nothing_is_past_the_end(read):
    data = read("table", GOOD, TABLE + "y,0,1e6,run\n", segments="refuse")
    assert data.records[0].segments == (Segment(0, 1e6, "run"),)


def test_durations_are_used_where_the_annotation_states_none(read):
    with pytest.raises(AnnotationError, match=r"is past the end, the video has 0.5 s"):
        read("table", GOOD, TABLE + "y,0,1,run\n", durations={"y": 0.5})
    text = multithumos(a=("training", 9, [[1, 0, 8]]), b=("testing", 9, [[1, 0, 8]]))
    data = read("multithumos", text, durations={"a": 5.0, "b": 5.0})
    assert data.records[0].segments == (Segment(0, 8, "1"),)  # the stated 9 s count


def test_a_late_end_within_a_frame_is_rounding(read):
    data = read("table", GOOD, TABLE + "y,0,1.04,run\n", durations={"y": 1.0})
    assert data.records[0].segments == (Segment(0, 1, "run"),)
    assert data.irregularities["past_end"] == 0


def test_identical_rows_count_once(read):
    data = read("table", GOOD, TABLE + "y,0,1,run\ny,0,1,run\ny,0,2,run\n")
    assert len(data.records[0].segments) == 2
    assert data.irregularities["duplicate"] == 1


def test_irregularities_are_logged(read, caplog):
    with caplog.at_level("INFO"):
        read(
            "table",
            TABLE + "z,2,1,run\nz,0,1,run\n",
            TABLE + "y,,,\n",
            segments="repair",
        )
    assert "mine: 1 training, 1 testing videos, 1 classes" in caplog.text
    assert "mine: irregular labels: 1 reversed, 1 without actions" in caplog.text


# ------------------------------------------------------------------------ command line


def test_arguments(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text(SPLIT + "a,0,9,run,train\nb,0,1,run,test\n")
    parser = argparse.ArgumentParser()
    add_dataset_arguments(parser)
    recipe = json.dumps({"format": "table", "segments": "repair", **RECIPE})
    line = ["--name", "mine", "--training", str(path), "--testing", str(path)]
    line += ["--classes", "", "--dataset"]
    data = dataset_from_arguments(parser.parse_args([*line, recipe]), {"a": 3.0})
    assert data.name == "mine"
    assert data.records[0].segments == (Segment(0, 3, "run"),)
    for bad in ("{", "[]"):
        with pytest.raises(ConfigError, match="--dataset should be a config section"):
            dataset_from_arguments(parser.parse_args([*line, bad]))
