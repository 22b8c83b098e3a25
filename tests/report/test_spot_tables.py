"""The stage `spot_tables`: seeds, published numbers, and those who never look."""

import csv
import json

import pytest

from ssdet.report import spot_tables
from ssdet.report.published import SegmentTable, with_own_rows

TABLE = SegmentTable.model_validate(
    {
        "title": "Segments",
        "protocol": "some videos",
        "measure": "thumos14",
        "tiou": [0.3, 0.5],
        "rows": {
            "theirs": {
                "label": "Theirs",
                "labels": 10,
                "published": [40.0, 20.0, 30.0],
                "source": "here",
                "result": None,
            },
            "spot": {
                "label": "SPOT",
                "labels": 10,
                "published": [50.0, None, 31.0],
                "source": "here",
                "result": "spot_10",
            },
        },
    }
)


def result(name, seed, average, external="none", dataset="home"):
    tiou = [0.3, 0.4, 0.5, 0.6, 0.7]
    scores = {
        "tiou": tiou,
        "map": [average + 0.02 * (2 - place) for place in range(5)],
        "average_map": average,
    }
    blind = {
        "most_frequent": {"label": "c0", "videos": 9, "thumos14": 0.01},
        "annotated": {"label": "first", "videos": 9, "thumos14": 0.04},
    }
    if external != "none":
        blind["external"] = {"label": "another's", "videos": 9, "thumos14": 0.03}
    return {
        "dataset": dataset,
        "name": name,
        "metrics": {"segment_map": {"thumos14": scores}, "content_free": blind},
        "videos": {"expected": 10, "evaluated": 9},
        "external_scores": external,
        "seed": seed,
    }


def run(folder, *results, table=TABLE, more=()):
    paths = []
    for number, found in enumerate(results):
        path = folder / f"{number}.json"
        path.write_text(json.dumps(found))
        paths.append(str(path))
    out = folder / "t.csv", folder / "t.md"
    spot_tables.main(
        [
            *("--dataset-name", "home", "--table", table.model_dump_json()),
            *("--results", *paths, *more),
            *("--out-csv", str(out[0]), "--out-md", str(out[1])),
        ]
    )
    with out[0].open(newline="") as file:
        return {row["row"]: row for row in csv.DictReader(file)}, out[1].read_text()


def test_seeds_are_one_row_beside_the_published_number(tmp_path):
    """In percent 20, 26 and 32: mean 26, standard deviation 6."""
    seeds = [result("spot_10", seed, 0.2 + 0.06 * seed) for seed in (2, 0, 1)]
    rows, text = run(tmp_path, *seeds)
    assert list(rows) == ["theirs", "spot"]
    expected = {
        "published_percent": 31,
        "ours_percent": 26,
        "spread_percent": 6,
        "difference": -5,
        "published_0.3_percent": 50,
        "ours_0.3_percent": 30,
        "ours_0.5_percent": 26,
        "blind_most_frequent_percent": 1,
        "blind_annotated_percent": 4,
    }
    for name, value in expected.items():
        assert float(rows["spot"][name]) == pytest.approx(value), name
    assert rows["spot"]["seeds"] == "0 1 2"
    assert rows["spot"]["published_0.5_percent"] == ""
    assert (rows["spot"]["videos_evaluated"], rows["spot"]["status"]) == ("9", "built")
    assert rows["theirs"]["status"] == "published only"
    assert rows["theirs"]["ours_percent"] == rows["theirs"]["difference"] == ""
    assert "over tIoU 0.3 to 0.7" in text
    assert "another program" not in text
    assert "generated" not in text


def test_one_seed_has_no_spread_and_other_rows_are_not_built(tmp_path):
    table = with_own_rows(TABLE, "home", "thumos14", [(10, ""), (60, "supervised")])
    rows, text = run(tmp_path, result("spot_60_supervised", 0, 0.2), table=table)
    assert list(rows) == ["theirs", "spot", "spot_60_supervised"]
    assert rows["spot"]["status"] == "not built yet"
    ours = rows["spot_60_supervised"]
    assert (ours["label"], ours["labels_percent"]) == ("SPOT, supervised", "60")
    assert (ours["spread_percent"], ours["difference"]) == ("", "")
    assert "±" not in text.splitlines()[0]


def test_labels_of_another_program_are_named(tmp_path):
    found = result("spot_10", 0, 0.2, external="classes of whole videos, x.json")
    rows, text = run(tmp_path, found)
    assert rows["spot"]["external_scores"] == "classes of whole videos, x.json"
    assert float(rows["spot"]["blind_external_percent"]) == pytest.approx(3)
    assert "blind, class by another program" in text


def test_a_set_that_nobody_published(tmp_path):
    table = with_own_rows(None, "home", "thumos14", [(10, ""), (10, "no_pretext")])
    assert table.tiou == (0.3, 0.4, 0.5, 0.6, 0.7)
    results = [result(f"spot_10{more}", 0, 0.2) for more in ("", "_no_pretext")]
    rows, text = run(tmp_path, *results, table=table, more=("--generated",))
    assert list(rows) == ["spot_10", "spot_10_no_pretext"]
    assert rows["spot_10_no_pretext"]["label"] == "SPOT, no pretext"
    assert "published" not in text.split("**Ours")[0].lower()
    assert "**Ours are of generated videos**" in text


def test_bad_results_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"no result at .*none\.json"):
        spot_tables.read_result(tmp_path / "none.json")
    with pytest.raises(ValueError, match=r"0\.json is of abroad, not of home"):
        run(tmp_path, result("spot_10", 0, 0.2, dataset="abroad"))
    with pytest.raises(ValueError, match=r"1\.json is spot_10 of seed 0, as another"):
        run(tmp_path, result("spot_10", 0, 0.2), result("spot_10", 0, 0.3))
    (tmp_path / "dense.json").write_text('{"name": "a", "seed": 0}')
    with pytest.raises(ValueError, match=r"not a result of evaluate_segments \(no key"):
        spot_tables.read_result(tmp_path / "dense.json")
