"""The stage `paper_figure`: which marks are drawn, and where."""

import json

import pytest

from ssdet.report import paper_figure
from ssdet.report.published import Figure
from tests.report.test_paper_tables import result

pytest.importorskip("matplotlib")

FIGURE = Figure.model_validate(
    {
        "title": "A figure",
        "dataset": "home",
        "protocol": "some protocol",
        "metric": "dense_map",
        "series": {
            "x3d": {
                "label": "X3D",
                "points": [
                    {
                        "variant": variant,
                        "published": published,
                        "multiply_adds_billion": count,
                        "result": name,
                    }
                    for variant, published, count, name in (
                        ("cls", 20.0, 38, "alone"),
                        ("ensemble", 25.0, 114, "both"),
                    )
                ],
            },
            "i3d": {
                "label": "I3D",
                "points": [
                    {
                        "variant": "literature",
                        "published": 17.0,
                        "multiply_adds_billion": 4449,
                        "result": None,
                    }
                ],
            },
        },
    }
)


def marks(figure):
    """(x, y, whether it is filled) of every mark."""
    return [
        (*map(float, line.get_xydata()[0]), line.get_markerfacecolor() != "none")
        for line in figure.axes[0].get_lines()
        if len(line.get_xydata())
    ]


def test_published_marks_are_hollow_and_ours_filled():
    figure = paper_figure.paper_figure(FIGURE, {"alone": 18.5}, {}, False)
    assert marks(figure) == [
        (38, 20, False),
        (38, 18.5, True),
        (114, 25, False),
        (4449, 17, False),
    ]


def test_ours_lie_at_their_own_cost():
    costs = {"alone": 40.5}
    values = {"alone": 18.5, "both": 20.0}
    found = marks(paper_figure.paper_figure(FIGURE, values, costs, True))
    assert found == [(40.5, 18.5, True), (114, 20, True)]  # no published ones


def test_the_same_bytes_twice(tmp_path):
    ours = tmp_path / "alone.json"
    ours.write_text(json.dumps(result("alone", 0.2, {"m": "a" * 64})))
    cost = tmp_path / "cost.csv"
    cost.write_text("name,as_published_billion\nalone,39.5\nboth,\n")
    texts = []
    for name in ("a.svg", "b.svg"):
        arguments = [
            "--figure",
            FIGURE.model_dump_json(),
            "--out",
            str(tmp_path / name),
        ]
        paper_figure.main([*arguments, "--results", str(ours), "--cost", str(cost)])
        texts.append((tmp_path / name).read_bytes())
    assert texts[0] == texts[1]
    assert b"<svg" in texts[0][:1000]


def test_a_table_without_costs_is_refused(tmp_path):
    cost = tmp_path / "cost.csv"
    cost.write_text("name,other\nalone,1\n")
    with pytest.raises(ValueError, match="must have the columns name and as_published"):
        paper_figure.read_costs(cost)


def test_a_result_of_another_set_is_refused(tmp_path):
    ours = tmp_path / "alone.json"
    ours.write_text(json.dumps(result("alone", 0.2, {"m": "a" * 64}, "abroad")))
    arguments = ["--figure", FIGURE.model_dump_json(), "--out", str(tmp_path / "a.svg")]
    with pytest.raises(ValueError, match="is of abroad, not of home"):
        paper_figure.main([*arguments, "--results", str(ours)])
