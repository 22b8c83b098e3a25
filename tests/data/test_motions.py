import numpy as np
import pytest

from ssdet.data import motions

ALL = sorted({*motions.CLASSIFICATION, *motions.DETECTION}, key=lambda item: item[0])
BOTH = dict((move.__name__, move) for _, move in ALL)
STATE = np.array([0.5, 0.5, 0.5, 0.5])
X, Y, TURN, LEVEL = range(4)


def move(name, seconds, state=STATE, pace=1.0, seed=0):
    rng = np.random.default_rng(seed)
    return BOTH[name](np.asarray(state), np.asarray(seconds, float), pace, rng)


@pytest.mark.parametrize(
    ("name", "column", "seconds", "offsets"),
    [
        ("rise", Y, [0, 1, 2], [0, -0.32, -0.64]),
        ("sink", Y, [0, 1, 2], [0, 0.32, 0.64]),
        ("slide", X, [0, 1, 2], [0, 0.32, 0.64]),
        ("sway", X, [0, 0.55, 1.1, 1.65, 2.2], [0, 0.18, 0, -0.18, 0]),
        ("hop", Y, [0, 0.4, 0.8, 1.2, 1.6], [0, -0.21, -0.28, -0.21, 0]),
        ("spin", TURN, [0, 1, 2], [0, 0.35, 0.7]),
        ("rock", TURN, [0, 0.5, 1, 1.5, 2], [0, 0.15, 0, -0.15, 0]),
        ("grow", LEVEL, [0, 0.5, 1.5, 2], [0, 0.25, 0.75, 1]),
        ("shrink", LEVEL, [0, 0.5, 1.5, 2], [0, -0.25, -0.75, -1]),
        # From the middle to one end in 0.625 s, to the other in 1.25 s more.
        ("pulse", LEVEL, [0, 0.3125, 0.9375, 1.875], [0, 0.25, 0.25, -0.5]),
    ],
)
def test_course(name, column, seconds, offsets):
    for seed in range(8):
        moved = move(name, seconds, seed=seed) - STATE
        still = [other for other in range(4) if other != column]
        assert (moved[:, still] == 0).all()
        ways = [np.array(offsets), -np.array(offsets)]
        if name in ("rise", "sink", "hop", "grow", "shrink"):
            ways.pop()
        # On the ring, 0.5 and -0.5 are the same place.
        off = [np.abs((moved[:, column] - way + 0.5) % 1 - 0.5).max() for way in ways]
        assert min(off) < 1e-9


def test_circle_has_its_radius_and_comes_back():
    states = move("circle", np.arange(0, 2.4, 0.01))
    centre = (states.max(0) + states.min(0))[:2] / 2
    radii = np.hypot(*(states[:, :2] - centre).T)
    np.testing.assert_allclose(radii, 0.17, atol=1e-3)
    np.testing.assert_allclose(move("circle", [2.4]), STATE[None], atol=1e-9)


def test_shaking_jumps_far_in_every_frame_and_stays_near():
    states = move("shake", np.arange(240) / 24)
    assert np.hypot(*np.diff(states[:, :2], axis=0).T).min() > 0.06 * 1.4
    assert np.hypot(*(states[:, :2] - 0.5).T).max() < 0.06 + 1e-9


def test_pace_is_time():
    for name in BOTH.keys() - {"shake"}:
        np.testing.assert_allclose(
            move(name, [0.6], pace=1.25), move(name, [0.75], pace=1.0), atol=1e-9
        )


@pytest.mark.parametrize("name", BOTH)
def test_uniform_states_stay_uniform(name):
    """One frame does not tell the class: every motion leaves its state uniform."""
    rng = np.random.default_rng(5)
    count = 2000
    after = np.stack(
        [
            BOTH[name](rng.random(4), np.arange(41) / 12, rng.uniform(0.75, 1.35), rng)
            for _ in range(count)
        ]
    )
    assert after.min() >= 0
    assert after.max() < 1
    for frame in (7, 20, 40):
        for column in range(4):
            values = np.sort(after[:, frame, column])
            steps = np.arange(count + 1) / count
            gap = max((steps[1:] - values).max(), (values - steps[:-1]).max())
            assert gap < 1.95 / np.sqrt(count)  # Kolmogorov-Smirnov at 0.1 %


@pytest.mark.parametrize("name", ["slide", "sway", "circle", "spin", "rock"])
def test_a_mirrored_motion_has_the_same_class(name):
    """Both ways occur about equally, so that a flip left to right keeps the class."""
    column = TURN if name in ("spin", "rock") else X
    ways = [
        np.sign(np.diff(move(name, [0.1, 0.11], seed=seed)[:, column])[0])
        for seed in range(400)
    ]
    assert abs(sum(ways)) < 66  # 3.3 standard deviations


def test_the_lists_differ_but_overlap():
    first, second = (
        {f for _, f in m} for m in (motions.CLASSIFICATION, motions.DETECTION)
    )
    assert len(first) == len(motions.CLASSIFICATION) == 8
    assert len(second) == len(motions.DETECTION) == 10
    assert len(first & second) == 6
