from hypothesis import given
from hypothesis import strategies as st

from ssdet.commands.lineage.changes import key_changes

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abc", min_size=1, max_size=1), inner, max_size=3)
    ),
    max_leaves=8,
)


def test_each_key_is_a_line():
    old = {"fine": {"learning_rate": 0.02, "epochs": 7, "drop": [1, 2]}, "seed": 0}
    new = {"fine": {"learning_rate": 0.01, "epochs": 7, "drop": [1]}, "ema": None}
    assert list(key_changes("", old, new)) == [
        "fine.learning_rate: 0.02 -> 0.01",
        "fine.drop: [1, 2] -> [1]",
        "seed: 0 -> none",
        "ema: none -> null",
    ]


def test_texts_stand_as_they_are_and_long_values_are_cut():
    (line,) = key_changes("pretext", "cls", list(range(99)))
    assert line.startswith("pretext: cls -> [0, 1, 2, ")
    assert line.endswith("...") and len(line) == len("pretext: cls -> ") + 60


@given(VALUES, VALUES)
def test_equal_values_alone_have_no_changes(old, new):
    lines = list(key_changes("key", old, new))
    assert (not lines) == (old == new)
    assert list(key_changes("key", new, new)) == []
    assert len(lines) == len(list(key_changes("key", new, old)))
