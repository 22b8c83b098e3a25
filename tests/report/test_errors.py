"""The stage `errors`: tables and figure of a result, from its own members."""

import csv
import json
from xml.etree import ElementTree

import numpy as np
import pytest

from ssdet.evaluate.error_analysis import ErrorAnalysis, Group
from ssdet.evaluate.false_detections import Detections
from ssdet.report import errors
from ssdet.report.error_figure import error_figure
from tests.home import make_result

pytest.importorskip("matplotlib")

LABELS = """video_id,start_s,end_s,label,split
t,0.5,2.0,sit,training
t,0.5,2.0,stand,training
t,0.5,2.0,wave,training
a,0.0,3.0,sit,testing
b,2.0,5.5,stand,testing
b,3.0,4.5,sit,testing
"""


@pytest.fixture
def home(tmp_path):
    """A result, and the arguments of its errors."""
    arguments = make_result(tmp_path, LABELS, ("sit", "stand", "wave"))
    given = ["--seed", "0", "--boundary-s", "0.5", "--resamples", "20"]
    return tmp_path, [*arguments, *given]


def run(folder, arguments, name):
    out = [folder / f"{name}{end}" for end in ("_c.csv", "_g.csv", ".svg")]
    flags = ("--out-classes", "--out-groups", "--out-figure")
    for flag, path in zip(flags, out, strict=True):
        arguments = [*arguments, flag, str(path)]
    errors.main(arguments)
    return [path.read_bytes() for path in out]


def test_tables_and_figure(home):
    folder, arguments = home
    classes, groups, figure = run(folder, arguments, "first")
    assert run(folder, arguments, "second") == [classes, groups, figure]
    assert ElementTree.fromstring(figure).tag.endswith("svg")
    result = json.loads((folder / "r.json").read_text())["metrics"]
    rows = {row["class"]: row for row in csv.DictReader(classes.decode().splitlines())}
    assert list(rows) == ["sit", "stand", "wave"]
    for scored in result["per_class"][:2]:
        row = rows[scored["class"]]
        assert float(row["ap_percent"]) == 100 * scored["ap"]
        kinds = ("correct", "boundary", "confusion", "background")
        shares = [float(row[f"{kind}_percent"]) for kind in kinds]
        assert sum(shares) == pytest.approx(100)
    sit, wave = rows["sit"], rows["wave"]
    assert (sit["actions"], sit["videos"]) == ("2", "2")
    confused = float(sit["confusion_percent"]) > 0
    assert sit["confused_with"] == ("stand" if confused else "")
    low, high = float(sit["ap_low_percent"]), float(sit["ap_high_percent"])
    assert low <= float(sit["ap_percent"]) <= high
    assert rows["stand"]["ap_low_percent"] == ""  # one video
    assert wave["ap_percent"] == wave["correct_percent"] == ""
    assert wave["positive_frames"] == wave["actions"] == "0"
    everything, *others = csv.DictReader(groups.decode().splitlines())
    assert everything["what"] == everything["group"] == "all"
    expected = 100 * result["dense_map"]
    assert float(everything["map_percent"]) == pytest.approx(expected, abs=1e-9)
    assert everything["classes"] == "2"
    lengths = [row for row in others if row["what"] == "length"]
    by_length = sum(int(row["frames"]) for row in lengths)
    assert by_length == int(everything["frames"])


def test_other_members_are_refused(home):
    folder, arguments = home
    result = json.loads((folder / "r.json").read_text())
    result["members"][0]["sha256"] = "00"
    del result["content_sha256"]
    (folder / "r.json").write_text(json.dumps(result))
    with pytest.raises(ValueError, match=r"was computed from .*p\.h5, not from"):
        run(folder, arguments, "x")
    assert not list(folder.glob("x*"))


def analysis_of(ap, counts):
    """Classes with these APs and kinds of detected frames; None: absent."""
    groups = (Group("all", "all"), Group("length", "1 to 2 s"))
    groups += (Group("simultaneous", "4 or more"), Group("simultaneous", "1"))
    ap = np.array([[np.nan if a is None else a] * 4 for a in ap])
    ap[:, 3] = np.nan
    found = [None if c is None else Detections(np.array(c), None, 0) for c in counts]
    means = np.array([0.4, 0.4, 0.4, np.nan])
    ones = np.ones(len(found), dtype=np.int64)
    return ErrorAnalysis(
        groups,
        ap,
        ap - 0.1,
        ap + 0.1,
        means,
        means - 0.1,
        means + 0.2,
        np.ones(ap.shape, dtype=np.int64),
        tuple(found),
        ones,
        ones,
    )


def test_what_is_drawn():
    analysis = analysis_of([0.3, None, 0.5], [[1, 1, 2, 0], None, [3, 0, 0, 1]])
    result = {"name": "all", "dataset": "home", "metrics": {"dense_map": 0.41}}
    figure = error_figure(result, analysis, ("costs $5", "gone", "best"), 0.5)
    length, number, kinds, ap, of_class = figure.get_axes()
    assert figure.get_suptitle() == (
        "all on home: mAP 41.0 %, 95 % interval 30.0 to 60.0 %"
    )
    assert [label.get_text() for label in length.get_xticklabels()] == ["1 to\n2"]
    assert [label.get_text() for label in number.get_xticklabels()] == ["4+"]
    assert [bar.get_height() for bar in length.patches] == pytest.approx([40.0])
    # mean over the two classes that happen: 1/4 and 3/4 correct, ...
    shares = [bar.get_width() for bar in kinds.patches]
    assert shares == pytest.approx([50.0, 12.5, 25.0, 12.5])
    names = [label.get_text() for label in ap.get_yticklabels()]
    assert names == [r"costs \$5", "best"]  # from below
    points = ap.collections[1].get_offsets()[:, 0]
    assert points.tolist() == pytest.approx([30.0, 50.0])
    widths = [bar.get_width() for bar in of_class.patches]
    assert widths == pytest.approx([25.0, 75.0, 25.0, 0.0, 50.0, 0.0, 0.0, 25.0])
