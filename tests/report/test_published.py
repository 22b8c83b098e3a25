"""config/tables.yaml: its numbers, and what is said about bad files."""

from pathlib import Path

import pytest
import yaml

from ssdet.config import ConfigError, load
from ssdet.report.published import read_published

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "config" / "tables.yaml"


@pytest.fixture(scope="module")
def published():
    return read_published([FILE])


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("table1", {"x3d": (20.66, 22.36, 23.94), "se": (21.79, 22.24, 23.92)}),
        ("table1", {"tgm_se": (23.84, 24.11, 25.50)}),
        ("table1", {"slowfast": (22.80, 24.73, 25.32)}),
        ("table1", {"coarse_fine": (25.10, 26.19, 26.95)}),
        ("table3", {"x3d": (37.17, 38.92, 40.88), "tgm_se": (39.16, 41.55, 43.15)}),
        ("table3", {"pdan": (39.20, 42.13, 44.35)}),
    ],
)
def test_the_papers_triples(published, table, expected):
    rows = published.tables[table].rows
    for method, numbers in expected.items():
        names = [f"{method}_{variant}" for variant in ("cls", "joint", "ensemble")]
        assert tuple(rows[name].published for name in names) == numbers


def test_table_2a_is_the_papers(published):
    rows = published.tables["table2a"].rows.values()
    assert [r.published for r in rows] == [17.28, 18.79, 19.18, 18.99, 19.11, 20.50]


def test_i3d_on_multithumos_is_not_i3d_with_super_events(published):
    """Source: spec of the heads, section 6, trap 22."""
    rows = published.tables["table3"].rows
    assert (rows["i3d"].published, rows["i3d_se"].published) == (29.7, 36.40)


def test_the_figure_has_the_numbers_of_table_1(published):
    rows = {r.result: r for r in published.tables["table1"].rows.values() if r.result}
    for series in published.figures["figure2"].series.values():
        for point in series.points:
            if point.result is not None:
                assert point.published == rows[point.result].published


@pytest.mark.parametrize(
    ("dataset", "row", "numbers"),
    [
        ("activitynet", "spot_60", (52.8, 35.0, 8.1, 35.2)),
        ("activitynet", "spot_10", (49.9, 31.1, 8.3, 32.1)),
        ("activitynet", "bmn_10", (35.4, 26.4, 8.0, 25.8)),
        ("activitynet", "spot_10_no_pretext", (46.2, None, None, 30.5)),
        ("thumos14", "spot_60", (58.9, 50.1, 42.3, 33.5, 22.9, 41.5)),
        ("thumos14", "sstap_10", (45.6, 35.2, 26.3, 17.5, 10.7, 27.0)),
    ],
)
def test_the_numbers_of_spot(published, dataset, row, numbers):
    assert published.segments[dataset].rows[row].published == numbers


def test_the_averages_of_spot_on_thumos14_are_those_of_their_columns(published):
    for name, row in published.segments["thumos14"].rows.items():
        *numbers, average = row.published
        if name not in ("mean_teacher_60", "fixmatch_60"):  # were printed otherwise
            assert sum(numbers) / 5 == pytest.approx(average, abs=0.15), name


def test_rows_of_spot_are_named_by_labels_and_variant(published):
    recipe = load(yaml.safe_load((ROOT / "config" / "config.yaml").read_text()))
    for table in published.segments.values():
        for row in table.rows.values():
            names = [f"spot_{row.labels}"]
            names += [f"spot_{row.labels}_{name}" for name in recipe.spot.variants]
            assert row.result is None or row.result in names


def test_results_are_named_as_the_recipe_names_them(published):
    recipe = load(yaml.safe_load((ROOT / "config" / "config.yaml").read_text()))
    known = {*recipe.models, *recipe.ensembles}
    for table in published.tables.values():
        for row in table.rows.values():
            assert row.result is None or row.result in known, row.result


def test_ones_own_rows_come_last_and_null_takes_rows_away(tmp_path):
    mine = tmp_path / "mine.yaml"
    row = {"label": "Mine", "input": "R", "published": None, "source": ""}
    rows = {"mine": {**row, "result": "my_model"}, "mixup": None}
    content = {"tables": {"table2a": {"rows": rows}, "table3": None}}
    mine.write_text(yaml.safe_dump(content))
    found = read_published([FILE, mine]).tables
    assert list(found["table2a"].rows)[-1] == "mine"
    assert "mixup" not in found["table2a"].rows
    assert "table3" not in found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "tables: {table2a: {rows: {cls: {published: x}}}}",
            r"table2a\.rows\.cls\.pub",
        ),
        ("tables: {table2a: {baseline: none}}", "baseline 'none' is not one of rows"),
        ("tables: {table9: {title: none}}", r"tables\.table9\.rows: missing"),
        (
            "segments: {thumos14: {tiou: [0.3]}}",
            r"rows\.bmn_60\.published has 6 numbers, expected 2",
        ),
        ("tables: {table2a: {row: 1}}", r"table2a\.row: no such key"),
        ("- a list", "has no tables"),
        ("a: [", "mine.yaml .report.tables.: while parsing"),
    ],
)
def test_bad_files_are_named(tmp_path, text, message):
    mine = tmp_path / "mine.yaml"
    mine.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_published([FILE, mine])
    with pytest.raises(ConfigError, match=r"nothing\.yaml"):
        read_published([tmp_path / "nothing.yaml"])
