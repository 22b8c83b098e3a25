"""Many items in several processes; one that kills its process costs only itself."""

import pytest

from ssdet.data.parallel import run_each

KILLER = "__import__('os')._exit(9)"


def lost(item):
    return f"died of {item[-5:]}"


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_every_item_once(workers):
    items = [f"{i} * {i}" for i in range(20)]
    results = dict(run_each(eval, items, workers, lost))
    assert results == {f"{i} * {i}": i * i for i in range(20)}


def test_a_process_that_dies_costs_its_item_only():
    items = ["0 + 1", KILLER, *(f"{i} + 1" for i in range(1, 5)), KILLER + " "]
    results = list(run_each(eval, items, 2, lost))
    assert sorted(items) == sorted(item for item, _ in results)
    for item, result in results:
        expected = lost(item) if "exit" in item else int(item.split()[0]) + 1
        assert result == expected


def test_errors_are_not_hidden():
    with pytest.raises(ZeroDivisionError):
        list(run_each(eval, ["1", "1 / 0"], 1, lost))


def test_no_items():
    assert list(run_each(eval, [], 2, lost)) == []
