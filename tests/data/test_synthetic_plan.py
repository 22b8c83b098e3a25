import csv
import io
from dataclasses import replace

import numpy as np
import pytest

from ssdet.config import SyntheticConfig
from ssdet.data.annotations import Segment
from ssdet.data.frame_labels import frame_labels
from ssdet.data.motions import CLASSIFICATION, DETECTION
from ssdet.data.sprites import draw_sprite, paste
from ssdet.data.synthetic_labels import CHARADES_HEADER, charades_csv
from ssdet.data.synthetic_plan import draw_clip, draw_plan, render

CONFIG = SyntheticConfig(
    classification="moves",
    detection="scenes",
    side=32,
    fps=24,
    training_clips=8,
    testing_clips=4,
    training_videos=2,
    testing_videos=1,
    clip_s=(4, 5),
    video_s=(15, 40),
)
SHORT = CONFIG.model_copy(update={"video_s": (6.0, 8.0)})


def detection(index, config=CONFIG):
    return draw_plan("detection", config, 3, "training", index)


def active(plan):
    """(classes, frames): which class is acted in which frame."""
    table = np.zeros((len(DETECTION), plan.frames), dtype=int)
    for action in plan.actions:
        table[action.label, action.start : action.stop] += 1
    return table


def test_nothing_but_the_motion_depends_on_the_class():
    for index in range(20):
        plans = [
            draw_clip(CONFIG, 0, "training", index, label)
            for label in range(len(CLASSIFICATION))
        ]
        assert len({(p.frames, p.background, p.actors[0].look) for p in plans}) == 1
        for plan in plans:
            assert (plan.jitter == plans[0].jitter).all()
        # All but shaking, which is away from its place in every frame, start alike.
        starts = [plan.actors[0].states[0] for plan in plans[:-1]]
        np.testing.assert_allclose(starts, np.tile(starts[0], (7, 1)), atol=1e-12)


def test_clips_act_in_every_frame_and_classes_take_turns():
    plans = [
        draw_plan("classification", CONFIG, 0, "training", index) for index in range(16)
    ]
    assert [plan.actions[0].label for plan in plans] == [*range(8), *range(8)]
    for plan in plans:
        (action,) = plan.actions
        assert (action.start, action.stop) == (0, plan.frames)
        assert 4 * 24 <= plan.frames <= 5 * 24
        assert (np.diff(plan.actors[0].states, axis=0) != 0).any(1).all()


def test_videos_differ_by_seed_set_split_and_number():
    plans = [
        draw_plan(kind, CONFIG, seed, split, index)
        for kind in ("classification", "detection")
        for seed in (0, 1)
        for split in ("training", "testing")
        for index in (0, 1)
    ]
    assert len({plan.background for plan in plans}) == 16


def test_states_change_exactly_where_an_actor_acts():
    for index in range(20):
        for actor in detection(index).actors:
            moves = (np.diff(actor.states, axis=0) != 0).any(1)
            acts = np.zeros(len(actor.states), dtype=bool)
            for action in actor.actions:
                assert action.start >= 1
                acts[action.start : action.stop] = True
            assert (moves == acts[1:]).all()


def test_pixels_change_exactly_in_the_frames_that_the_file_labels():
    names = {f"c{k:03d}": k for k in range(len(DETECTION))}
    for index in range(4):
        plan = detection(index, SHORT)
        plan = replace(plan, jitter=np.zeros_like(plan.jitter))
        for actor in plan.actors:
            alone = replace(plan, actors=(actor,))
            (row,) = csv.DictReader(io.StringIO(charades_csv([("ABCDE", alone)])))
            actions = [text.split() for text in row["actions"].split(";") if text]
            segments = [Segment(float(a), float(b), k) for k, a, b in actions]
            fps = alone.frames / float(row["length"])
            labels = frame_labels(segments, names, alone.frames, fps)
            assert (labels == active(alone)).all()
            images = np.stack(list(render(alone))).astype(int)
            changes = np.abs(np.diff(images, axis=0)).max((1, 2, 3)) > 0
            assert (changes == labels.any(0)[1:]).all()


def test_resting_sprites_are_still_although_the_background_steps():
    plan = detection(0, SHORT)
    assert len(np.unique(plan.jitter, axis=0)) > 1
    actor = plan.actors[0]
    rest = actor.actions[0].start
    side = plan.side
    opaque = np.zeros((side, side, 3), np.float32)
    sprite = draw_sprite(actor.look)
    solid = np.concatenate([sprite[..., 3:]] * 4, axis=2)
    x, y, turn, level = actor.states[0]
    smallest, largest = plan.diameter
    paste(opaque, solid, x, y, turn, smallest * (largest / smallest) ** level)
    inside = opaque[..., 0] == 1
    assert inside.sum() > 20
    images = list(render(replace(plan, actors=(actor,))))
    for image in images[1:rest]:
        assert (image[inside] == images[0][inside]).all()


def test_labels_are_as_dense_as_promised():
    tables = [active(detection(index)) for index in range(150)]
    table = np.concatenate(tables, axis=1)
    assert table.max() == 1  # no class twice at a time
    assert 0.8 < table.sum(0).mean() < 1.2
    assert 0.2 < (table.sum(0) == 0).mean() < 0.4
    assert (table.sum(0) > 1).mean() > 0.2
    assert table.mean(1).min() > 0.05
    assert {len(detection(index).actors) for index in range(30)} == {1, 2, 3}


def test_small_sets_have_every_class():
    plans = [detection(index, SHORT) for index in range(len(DETECTION))]
    firsts = [plan.actors[0].actions[0].label for plan in plans]
    assert firsts == list(range(len(DETECTION)))


def test_videos_of_the_shortest_length_have_an_action():
    config = CONFIG.model_copy(update={"video_s": (3.0, 3.0), "fps": 8})
    for index in range(50):
        plan = detection(index, config)
        assert plan.frames == 24
        assert plan.actors[0].actions
        assert all(action.stop <= 24 for action in plan.actions)


def test_times_lie_half_a_frame_outside_the_action():
    plan = detection(1)
    (row,) = csv.DictReader(io.StringIO(charades_csv([("ABCDE", plan)])))
    assert list(row) == list(CHARADES_HEADER)
    first = plan.actions[0]
    text = f"c{first.label:03d} {(first.start - 0.5) / 24:.6f}"
    assert row["actions"].startswith(text)
    assert float(row["length"]) == pytest.approx(plan.frames / 24, abs=1e-6)


def test_a_sprite_goes_round_the_edges():
    """At the corner, a quarter of the sprite shows in each corner of the frame."""
    solid = np.ones((128, 128, 4), np.float32)
    canvas = np.zeros((16, 16, 3), np.float32)
    paste(canvas, solid, 0.0, 0.0, 0.0, 0.5)
    inside = np.zeros((16, 16), bool)
    for rows in (slice(4), slice(12, 16)):
        for columns in (slice(4), slice(12, 16)):
            inside[rows, columns] = True
    assert (canvas[..., 0] == inside).all()


def test_a_sprite_turns_and_moves_as_its_state_says():
    sprite = np.zeros((128, 128, 4), np.float32)
    sprite[:, 64:] = (255, 255, 255, 1)  # its right half
    for turn, rows, columns in [
        (0.0, slice(12, 20), slice(16, 20)),
        (0.25, slice(16, 20), slice(12, 20)),
        (0.5, slice(12, 20), slice(12, 16)),
    ]:
        canvas = np.zeros((32, 32, 3), np.float32)
        paste(canvas, sprite, 0.5, 0.5, turn, 0.25)
        expected = np.zeros((32, 32))
        expected[rows, columns] = 255
        assert (canvas[..., 1] == expected).all()
