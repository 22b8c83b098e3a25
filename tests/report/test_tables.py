"""The stage `tables`: the numbers of a result, and what is no result."""

import csv
import json

import pytest

from ssdet.report import tables


def result(name, dense_map, models):
    return {
        "dataset": "home",
        "name": name,
        "metrics": {
            "dense_map": dense_map,
            "map_25": 0.25,
            "map_25_weighted": 0.3125,
            "chance": {"dense_map": 0.02, "map_25": 0.03, "map_25_weighted": 0.05},
            "per_class": [],
        },
        "videos": {"expected": 12, "evaluated": 11, "missing": 1, "missing_videos": []},
        "members": [{"model": model, "dense_map": 0.1} for model in models],
    }


@pytest.fixture
def results(tmp_path):
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    paths[0].write_text(json.dumps(result("alone", 0.125, ["fine_cls"])))
    both = result("both", 0.5, ["fine_cls", "fine_mixup"])
    paths[1].write_text(json.dumps(both))
    return paths


def run(folder, paths):
    out = folder / "table.csv", folder / "table.md"
    given = ["--out-csv", str(out[0]), "--out-md", str(out[1])]
    tables.main(["--results", *map(str, paths), *given])
    return out


def test_one_row_for_each_result(tmp_path, results):
    written, _ = run(tmp_path, results)
    with open(written, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["alone", "both"]
    assert rows[1] == {
        "dataset": "home",
        "name": "both",
        "members": "fine_cls + fine_mixup",
        "dense_map_percent": "50.0",
        "map_25_percent": "25.0",
        "map_25_weighted_percent": "31.25",
        "chance_percent": "2.0",
        "times_chance": "25.0",
        "videos_evaluated": "11",
        "videos_expected": "12",
    }


def test_markdown_is_readable_as_it_is(tmp_path, results):
    _, written = run(tmp_path, results)
    lines = written.read_text().splitlines()
    assert lines[:4] == [
        "| data set | result | members               | dense mAP | mAP-25 | wAP-25 |"
        " chance (dense) | dense / chance | videos | expected |",
        "| -------- | ------ | --------------------- | --------: | -----: | -----: |"
        " -------------: | -------------: | -----: | -------: |",
        "| home     | alone  | fine_cls              |     12.50 |  25.00 |  31.25 |"
        "           2.00 |           6.25 |     11 |       12 |",
        "| home     | both   | fine_cls + fine_mixup |     50.00 |  25.00 |  31.25 |"
        "           2.00 |          25.00 |     11 |       12 |",
    ]


def test_absent_numbers_are_left_empty(results):
    result = json.loads(results[0].read_text())
    result["metrics"]["map_25"] = None
    row = tables.row(result)
    assert row["map_25_percent"] is None
    assert ",alone,fine_cls,12.5,,31.25," in tables.as_csv([row])
    assert "|      - |  31.25 |" in tables.as_markdown([row])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not a result of ensemble"),
        ("[]", "is not a result of ensemble"),
        ('{"metrics": {}}', "no key 'videos'"),
        ('{"metrics": {}, "videos": {}}', "no key 'chance'"),
    ],
)
def test_other_files_are_refused(tmp_path, text, message):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=rf"a\.json .*{message}|{message}"):
        run(tmp_path, [tmp_path / "a.json"])
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_an_absent_result_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"no result at .*none\.json; run ensemble"):
        run(tmp_path, [tmp_path / "none.json"])
