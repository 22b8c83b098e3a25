"""THUMOS14: the official archives, csv and JSON say the same; Ambiguous is left out."""

import io
import tarfile
import zipfile

import pytest

from ssdet.data.annotations import AnnotationError, Segment

HEADER = "video,type,type_idx,start,end,startFrame,endFrame\n"
TRAINING = HEADER + (
    "video_validation_0000051,Billiards,12,67.5,75.9,2025,2277\n"
    "video_validation_0000051,Ambiguous,0,80.0,81.0,2400,2430\n"
    "video_validation_0000052,Diving,26,1.0,2.0,30,60\n"
)
TESTING = HEADER + (
    "video_test_0000004,Diving,26,0.2,1.1,6,33\n"
    "video_test_0001292,Ambiguous,0,0.5,1.5,15,45\n"
)
CLASS_FILES = {
    "annotation/Billiards_val.txt": "video_validation_0000051  67.5 75.9\n",
    "annotation/Ambiguous_val.txt": "video_validation_0000051  80.0 81.0\n",
    "annotation/Diving_val.txt": "video_validation_0000052  1.0 2.0\n\n",
    "__MACOSX/annotation/._Diving_val.txt": "\0\x05\x16\x07",
    "annotation/readme.txt": "nothing to read here",
}


def zipped(files):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return data.getvalue()


def tarred(files, mode="w:gz"):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=mode) as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return data.getvalue()


def as_json(**subsets):
    """The JSON form: segments are texts, ambiguous ones and durations are absent."""
    return {
        "database": {
            video: {
                "subset": subset,
                "annotations": [
                    {"segment": [str(start), str(end)], "label": label}
                    for start, end, label in segments
                ],
            }
            for subset, videos in subsets.items()
            for video, segments in videos.items()
        }
    }


def test_csv(read):
    data = read("thumos14", TRAINING, TESTING)
    assert data.classes == ("Billiards", "Diving")
    first, second = data.of("training")
    assert first.video_id == "video_validation_0000051"
    assert first.segments == (Segment(67.5, 75.9, "Billiards"),)
    assert first.duration_s is None
    assert second.segments == (Segment(1.0, 2.0, "Diving"),)
    assert [(r.video_id, len(r.segments)) for r in data.of("testing")] == [
        ("video_test_0000004", 1),
        ("video_test_0001292", 0),  # only Ambiguous, but a video to be tested on
    ]
    assert data.irregularities["ambiguous"] == 2
    assert data.irregularities["without_actions"] == 1


@pytest.mark.parametrize(
    "archive",
    [zipped(CLASS_FILES), tarred(CLASS_FILES), tarred(CLASS_FILES, "w")],
    ids=["zip", "tar.gz", "tar"],
)
def test_the_official_archives_say_the_same(read, archive):
    from_archive = read("thumos14", archive, TESTING)
    assert from_archive.records == read("thumos14", TRAINING, TESTING).records
    assert from_archive.irregularities["ambiguous"] == 2


def test_json_says_the_same(read):
    both = as_json(
        train={
            "video_validation_0000051": [(67.5, 75.9, "Billiards")],
            "video_validation_0000052": [(1.0, 2.0, "Diving")],
        },
        test={"video_test_0000004": [(0.2, 1.1, "Diving")]},
    )
    from_csv = read("thumos14", TRAINING, TESTING)
    from_json = read("thumos14", both)
    assert from_json.of("training") == from_csv.of("training")
    assert from_json.of("testing") == from_csv.of("testing")[:1]
    assert "ambiguous" not in from_json.irregularities


def test_one_interval_of_two_classes_is_no_duplicate(read):
    rows = HEADER + "a,CliffDiving,22,1,2,30,60\na,Diving,26,1,2,30,60\n"
    data = read("thumos14", rows, HEADER + "b,Diving,26,1,2,30,60\n")
    assert len(data.of("training")[0].segments) == 2
    assert data.irregularities["duplicate"] == 0


def test_class_list_of_the_kit(read):
    data = read("thumos14", TRAINING, TESTING, "12 Billiards\n26 Diving\n")
    assert data.classes == ("Billiards", "Diving")
    with pytest.raises(
        AnnotationError, match=r"classes:2: class 12 stands below class"
    ):
        read("thumos14", TRAINING, TESTING, "26 Diving\n12 Billiards\n")
    with pytest.raises(AnnotationError, match="label 'Diving' is not one of the 1"):
        read("thumos14", TRAINING, TESTING, "12 Billiards\n")


@pytest.mark.parametrize(
    ("training", "message"),
    [
        (HEADER + "a,Diving,26,x,2,0,0\n", r"training:2 \(a\): start: expected a num"),
        (HEADER + "a,Diving,26,3,2,0,0\n", r"training:2 \(a\): Diving from 3 s to 2 s"),
        ("video,start\na,1\n", "training:1: no column type, end; expected video, type"),
        (
            zipped({"Diving_val.txt": "a 1 2 3\n"}),
            "training, Diving_val.txt:1: 'a 1 2 3' should be a video, start and end",
        ),
        (zipped({"Diving_val.txt": "a 1 2\n"})[:-30], "not UTF-8|cannot read"),
        (tarred(CLASS_FILES)[:-40], "cannot read"),
    ],
)
def test_bad_files(read, training, message):
    with pytest.raises(AnnotationError, match=message):
        read("thumos14", training, TESTING)
