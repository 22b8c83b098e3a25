"""Names of strangers: no paths outside the results, no shell, no markup."""

import csv
import io
import xml.etree.ElementTree as ElementTree

import pytest

from ssdet.config import ConfigError, load
from ssdet.data.annotation_formats.raw import wrong_id, wrong_label
from ssdet.data.annotations import read_dataset
from ssdet.report.labels import plain
from ssdet.report.table_text import as_csv, as_markdown
from ssdet.texts import control_characters, parse_json, printable
from tests.tiny import merged, tiny_config

OUTSIDE = ("../x", "../../etc/passwd", "/etc/passwd", "a/b", "a\\b", "..", ".", "")
CONTROL = ("a\nb", "a\rb", "a\x00b", "a\x1b[2Jb", "a\u2028b", "a\ud800b", "a\x85b")
LONG = "n" * 10_000
# A file may be called so, and no program of ours may be troubled by it.
LEGAL = (
    "$(touch x)",
    "`touch x`",
    "a; touch x",
    "a' \"b",
    "{x}",
    "-rf",
    "=1+1",
    "käse",
)


@pytest.mark.parametrize("name", [*OUTSIDE, *CONTROL, LONG], ids=repr)
def test_ids_that_are_no_file_names(name):
    assert wrong_id(name)
    assert len(wrong_id(name)) < 300
    assert printable(wrong_id(name)) == wrong_id(name)


@pytest.mark.parametrize("name", LEGAL)
def test_ids_that_are_odd_file_names(name):
    assert wrong_id(name) is None


def test_labels():
    for label in (*CONTROL, LONG):
        assert len(wrong_label(label)) < 300
    for label in (*LEGAL, "../x", "Pole vault", "<script>alert(1)</script>"):
        assert wrong_label(label) is None


def test_a_label_of_ten_thousand_characters_is_refused_briefly(tmp_path):
    path = tmp_path / "labels.csv"
    rows = [f'v{n},0,1,"{LONG}{n}",{split}\n' for n in (1, 2) for split in ("train",)]
    path.write_text(
        "video_id,start_s,end_s,label,split\n" + "".join(rows) + "v3,,,,test\n"
    )
    config = {"format": "table", "segments": "refuse"}
    with pytest.raises(ValueError, match="has 10001 characters, at most 500") as caught:
        read_dataset("mine", config, path, path, None)
    assert len(str(caught.value)) < 5000


def changed(*place, value):
    """The tiny configuration with a value in one place."""
    for key in reversed(place):
        value = {key: value}
    tiny = tiny_config().model_dump(mode="json")
    tiny["pretrain"]["frame_labels"] = None  # no part of what the stage is told
    return merged(tiny, value)


SET = tiny_config().datasets["charades"].model_dump(mode="json")
NAMES = ("datasets", "models", "ensembles")


@pytest.mark.parametrize("key", NAMES)
@pytest.mark.parametrize(
    "name", [*OUTSIDE, *CONTROL, LONG, "$(touch x)", "a b", "{x}", "-rf", "a;b", "a\n"]
)
def test_names_in_the_configuration(key, name):
    """They are folders and files of the results, and words of commands."""
    values = {
        "datasets": SET,
        "models": {"kind": "fine", "pretext": "cls"},
        "ensembles": ["fine_freeze"],
    }
    with pytest.raises(ConfigError, match=rf"(?s)errors:\n  {key}\.") as caught:
        load(changed(key, name, value=values[key]))
    reasons = ("match pattern", "at most 80", "unable to parse raw data as a unicode")
    assert any(reason in str(caught.value) for reason in reasons)


PATHS = {
    ("results",): "results",
    ("pretrain", "init"): "pretrain.init",
    ("datasets", "charades", "videos"): "datasets.charades.videos",
    ("datasets", "charades", "annotations", "classes"): "annotations.classes",
    ("head", "external"): "head.external.i3d.charades",
    ("spot", "features", "folders"): "spot.features.folders.charades",
    ("spot", "features", "tables"): "spot.features.tables.charades",
    ("spot", "labels", "split_files"): "spot.labels.split_files.charades",
    ("spot", "detect", "external_scores"): "spot.detect.external_scores.charades",
    ("spot", "train", "init"): "spot.train.init",
    ("report", "tables"): "report.tables.0",
}


def at(place, path):
    """A path as the section writes it."""
    if place[0] == "head":
        return {"i3d": {"charades": path}}
    if place[0] == "report":
        return [path]
    return {"charades": path} if place[-1].endswith(("s", "scores")) else path


@pytest.mark.parametrize("place", PATHS, ids=".".join)
def test_paths_upon_which_a_shell_acts(place):
    single = place[-1] in ("results", "videos", "classes", "init")
    for path in (
        *("$(touch x)", "`touch x`", "$HOME", 'a"b', "a\\b", "{dataset}", "a<b>"),
        *("a\nb", "a\x00b", "-rf", "", " a", "a ", LONG),
    ):
        value = path if single else at(place, path)
        with pytest.raises(ConfigError) as caught:
            load(changed(*place, value=value))
        assert f"{PATHS[place]}: " in str(caught.value), path
        assert not control_characters(str(caught.value).replace("\n", ""))
    for path in ("a b/c'd", "/abs/ä;&|()#*?!~", "../up", "./-rf", "x=1,y@z:0%+"):
        load(changed(*place, value=path if single else at(place, path)))


def test_a_message_steers_no_terminal():
    assert printable("a\x1b[2J\x07b\nc\td\ud800e\x85") == (
        "a\\x1b[2J\\x07b\nc\td\\ud800e\\x85"
    )
    assert printable("käse 日本 \u200b") == "käse 日本 \u200b"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "f.json: not JSON: nested too deeply"),
        (b"\xff", "f.json: not JSON"),
        ("9" * 5000, "f.json: not JSON: Exceeds the limit"),
        ("{\n]", "f.json:2: not JSON"),
    ],
)
def test_json_that_is_none(text, message):
    with pytest.raises(ValueError, match=message):
        parse_json(text, "f.json")


def test_formulas_in_tables_are_text():
    names = ("=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "run", "a|b")
    rows = [{"class": name, "ap": -0.5} for name in names]
    found = list(csv.DictReader(io.StringIO(as_csv(rows, ("class", "ap")))))
    assert [row["class"] for row in found] == [
        *("'=cmd|' /C calc'!A0", "'+1", "'-1", "'@SUM(A1)", "run", "a|b")
    ]
    assert {row["ap"] for row in found} == {"-0.5"}
    table = as_markdown(rows, {"class": "class"}, ()).splitlines()
    assert all(line.replace("\\|", "").count("|") == 2 for line in table if line)


def test_names_in_figures_are_text(tmp_path):
    figure = pytest.importorskip("matplotlib.figure").Figure()
    from ssdet.report.figures import save

    names = (*LEGAL, "<script>x</script>", "-->", "$x$", "]]>", "&lt;", "\\alpha$_$")
    axes = figure.subplots()
    axes.set_yticks(range(len(names)), [plain(name) for name in names])
    save(figure, tmp_path / "names.svg")
    tree = ElementTree.parse(tmp_path / "names.svg")
    assert not [e for e in tree.iter() if str(e.tag).endswith("script")]
