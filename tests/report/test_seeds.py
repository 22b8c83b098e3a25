"""Results of several seeds: grouped, averaged, their spread."""

import json

import pytest

from ssdet.report.seeds import by_name, percent, spread
from tests.report.test_paper_tables import result


def written(folder, *found):
    paths = []
    for number, content in enumerate(found):
        paths.append(folder / f"{number}.json")
        paths[-1].write_text(json.dumps(content))
    return paths


def of(name, dense_map, seed):
    return result(name, dense_map, {"m": "a" * 64}, seed=seed)


def test_results_are_grouped_by_name_and_ordered_by_seed(tmp_path):
    paths = written(tmp_path, of("b", 0.2, 4), of("a", 0.5, 0), of("b", 0.1, 0))
    found = by_name(paths, "home")
    assert {name: [r["seed"] for r in some] for name, some in found.items()} == {
        "b": [0, 4],
        "a": [0],
    }


def test_mean_and_sample_deviation(tmp_path):
    seeds = [of("a", value, n) for n, value in enumerate((0.10, 0.12, 0.17))]
    assert percent(seeds, "dense_map") == pytest.approx(13)
    assert spread(seeds, "dense_map") == pytest.approx((26 / 2) ** 0.5)
    assert spread(seeds[:1], "dense_map") is None
    assert percent([], "dense_map") is None


def test_a_metric_that_one_seed_lacks_has_no_mean():
    seeds = [of("a", 0.1, 0), of("a", 0.2, 1)]
    seeds[1]["metrics"]["map_25"] = None
    assert percent(seeds, "map_25") is None
    assert spread(seeds, "map_25") is None


def test_the_same_seed_twice_is_refused(tmp_path):
    paths = written(tmp_path, of("a", 0.1, 1), of("a", 0.2, 1))
    with pytest.raises(ValueError, match=r"1\.json is a of seed 1, as another"):
        by_name(paths, "home")


def test_a_result_of_another_set_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"0\.json is of home, not of abroad"):
        by_name(written(tmp_path, of("a", 0.1, 1)), "abroad")
