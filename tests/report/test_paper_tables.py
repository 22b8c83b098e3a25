"""The stage `paper_tables`: rows with results, without, and what they are made of."""

import csv
import json

import pytest

from ssdet.report import paper_tables
from ssdet.report.published import Table

TABLE = Table.model_validate(
    {
        "title": "A table",
        "dataset": "home",
        "protocol": "some protocol",
        "metrics": ["map_25", "dense_map"],
        "baseline": "one",
        "rows": {
            name: {
                "label": name.title(),
                "input": "R",
                "published": published,
                "source": "here",
                "result": result,
            }
            for name, published, result in (
                ("theirs", 10.0, None),
                ("one", 20.0, "alone"),
                ("two", 23.5, "both"),
                ("later", 30.0, "later"),
                ("odd", None, "nowhere"),
            )
        },
    }
)


def result(name, dense_map, members, dataset="home", seed=0):
    return {
        "dataset": dataset,
        "name": name,
        "seed": seed,
        "metrics": {
            "dense_map": dense_map,
            "map_25": 2 * dense_map,
            "map_25_weighted": 3 * dense_map,
            "chance": {"dense_map": 0.02, "map_25": 0.03, "map_25_weighted": 0.05},
            "per_class": [],
        },
        "videos": {"expected": 12, "evaluated": 11, "missing": 1, "missing_videos": []},
        "members": [
            {"model": model, "dense_map": 0.1, "checkpoint_sha256": digest}
            for model, digest in members.items()
        ],
    }


def run(folder, *results, more=(), table=TABLE):
    paths = []
    for found in results:
        path = folder / f"{found['name']}_{found['seed']}.json"
        path.write_text(json.dumps(found))
        paths.append(str(path))
    out = folder / "t.csv", folder / "t.md"
    paper_tables.main(
        [
            *("--table-name", "table9", "--table", table.model_dump_json()),
            *("--results", *paths, "--known", "alone", "both", "later", *more),
            *("--out-csv", str(out[0]), "--out-md", str(out[1])),
        ]
    )
    with out[0].open(newline="") as file:
        return {row["row"]: row for row in csv.DictReader(file)}, out[1].read_text()


def test_published_ours_and_their_difference(tmp_path):
    one = result("alone", 0.125, {"se_cls": "a" * 64})
    two = result("both", 0.14, {"se_cls": "a" * 64, "se_mixup": "b" * 64})
    rows, text = run(tmp_path, one, two)
    assert list(rows) == ["theirs", "one", "two", "later", "odd"]
    expected = {
        "status": "built",
        "published_percent": 23.5,
        "published_gain": 3.5,
        "dense_map_percent": 14,
        "dense_map_difference": -9.5,
        "dense_map_gain": 1.5,
        "map_25_percent": 28,
        "map_25_weighted_percent": 42,
        "map_25_difference": 4.5,
        "map_25_gain": 3,
        "videos_evaluated": 11,
        "members": "se_cls + se_mixup",
        "members_sha256": f"{'a' * 64} + {'b' * 64}",
        "published_protocol": "some protocol",
    }
    for name, value in expected.items():
        found = rows["two"][name]
        if isinstance(value, str):
            assert found == value
        else:
            assert float(found) == pytest.approx(value), name
    assert "map_25_weighted_difference" not in rows["two"]  # of another protocol
    assert f"- Two: se_cls `{'a' * 12}`, se_mixup `{'b' * 12}`" in text
    assert "generated" not in text
    assert "seeds" not in text


def test_several_seeds_are_shown_by_mean_and_spread(tmp_path):
    """0.12, 0.14 and 0.19: 15 percent, and sqrt(13) about it."""
    two = [
        result("both", value, {"se_cls": str(seed) * 64}, seed=seed)
        for seed, value in enumerate((0.12, 0.14, 0.19))
    ]
    rows, text = run(tmp_path, result("alone", 0.125, {"se_cls": "a" * 64}), *two)
    assert rows["two"]["seeds"] == "0 1 2"
    assert float(rows["two"]["dense_map_percent"]) == pytest.approx(15)
    assert float(rows["two"]["dense_map_spread"]) == pytest.approx(13**0.5)
    assert float(rows["two"]["dense_map_difference"]) == pytest.approx(15 - 23.5)
    assert float(rows["two"]["dense_map_gain"]) == pytest.approx(2.5)
    assert rows["two"]["members"] == "se_cls + se_cls + se_cls"
    assert rows["two"]["members_sha256"] == " + ".join(str(s) * 64 for s in range(3))
    assert (rows["one"]["seeds"], rows["one"]["dense_map_spread"]) == ("0", "")
    assert "±" in text.splitlines()[0]
    assert "0 1 2" in text and "several *seeds*" in text


def test_rows_without_results_say_why(tmp_path):
    rows, text = run(tmp_path, result("both", 0.14, {"se_cls": "a" * 64}))
    assert {name: row["status"] for name, row in rows.items()} == {
        "theirs": "published only",
        "one": "not built yet",
        "two": "built",
        "later": "not built yet",
        "odd": "not in the configuration",
    }
    assert rows["later"]["dense_map_percent"] == ""
    assert float(rows["later"]["published_gain"]) == 10
    assert rows["theirs"]["published_gain"] == ""  # perhaps of another protocol
    assert rows["two"]["dense_map_gain"] == ""  # over a row that is not built
    assert text.count("not built yet") == 2


def test_a_table_of_nothing_built(tmp_path):
    rows, text = run(tmp_path)
    assert all(row["members"] == "" for row in rows.values())
    assert "Checkpoints" not in text


def test_generated_videos_are_named_as_such(tmp_path):
    one = result("alone", 0.125, {"se_cls": "a" * 64})
    rows, text = run(tmp_path, one, more=("--generated",))
    assert "**Ours are of generated videos**" in text
    assert list(rows) == ["one", "two", "later", "odd"]  # theirs cannot be built
    for row in rows.values():
        empty = ("published_percent", "dense_map_difference", "published_gain")
        assert [row[name] for name in empty] == [""] * 3
    assert float(rows["one"]["dense_map_percent"]) == pytest.approx(12.5)
    assert "20.00" not in text and "difference" not in text.splitlines()[0]


def test_all_protocols_stand_side_by_side(tmp_path):
    """Differences only where the published protocol may be the same."""
    table = TABLE.model_copy(update={"metrics": ("map_25",)})
    one = result("alone", 0.125, {"se_cls": "a" * 64})
    rows, text = run(tmp_path, one, table=table)
    header = [cell.strip() for cell in text.splitlines()[0].strip("|").split("|")]
    assert header[2:7] == [
        "published",
        "ours, dense mAP",
        "ours, mAP-25",
        "difference",
        "ours, wAP-25",
    ]
    assert float(rows["one"]["map_25_difference"]) == pytest.approx(5)
    assert "dense_map_difference" not in rows["one"]


def test_a_result_of_another_set_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"alone_0\.json is of abroad, not of home"):
        run(tmp_path, result("alone", 0.1, {"m": "a" * 64}, dataset="abroad"))
