"""The stage `strips`: the weights that are drawn, and the file."""

from xml.etree import ElementTree

import pytest
import torch

from ssdet.augment import policy
from ssdet.augment.spatial import normalise
from ssdet.report import strips
from ssdet.report.strip_figure import BAR, TILE, TITLES, Strip, strip_figure
from tests.augment.recipes import augment_config, noise

NAMES = ("background", "run & jump", "sit")


def shares(title, **changes):
    """Weights of background, clip and partner in 8 frames."""
    config = augment_config(**changes)
    classes = torch.tensor([4, 2])
    draws = strips.fixed_draws(8)[title]
    _, soft = policy.apply(noise(2, 3, 8, 2, 32), classes, draws, config)
    return strips.weights(soft, 0, classes, config)


def test_weights_of_freeze():
    """3/8 of the clip are held, from its first quarter on."""
    held = [0, 0, 1, 1, 1, 0, 0, 0]
    shown = [1 - x for x in held]
    assert shares("freeze").tolist() == [held, shown, [0] * 8]
    ignored = shares("freeze", background="ignore")
    assert ignored.tolist() == [[0] * 8, shown, [0] * 8]


@pytest.mark.parametrize("title", ["mixup", "cutmix, window"])
def test_weights_of_a_pair(title):
    """The clip is seen in frames 0-4 and its partner in 3-7: thirds in 3 and 4."""
    background, own, partner = shares(title).tolist()
    assert background == [0] * 8
    tolerance = {"abs": 0.02 if title == "mixup" else 0.03}
    assert own == pytest.approx([1, 1, 1, 2 / 3, 1 / 3, 0, 0, 0], **tolerance)
    assert partner == pytest.approx([1 - x for x in own])


def test_weights_of_a_view():
    assert shares("cutmix, view").tolist() == [[0] * 8, [0.5] * 8, [0.5] * 8]


def test_two_clips_of_one_class_have_one_bar():
    classes, draws = torch.tensor([3, 3]), strips.fixed_draws(8)["mixup"]
    config = augment_config()
    _, soft = policy.apply(noise(2, 3, 8, 2, 2), classes, draws, config)
    assert strips.weights(soft, 0, classes, config)[1].allclose(torch.ones(8))


def test_any_number_of_frames_has_an_example():
    config = augment_config()
    for frames in range(1, 20):
        for draws in strips.fixed_draws(frames).values():
            video = noise(2, 3, frames, 2, 16)
            mixed, _ = policy.apply(video, torch.tensor([0, 1]), draws, config)
            assert mixed.isfinite().all()


def test_pixels_are_what_was_normalised():
    video = torch.arange(256, dtype=torch.uint8).expand(3, 1, 1, 256)
    mean, std = (0.4, 0.5, 0.6), (0.1, 0.2, 0.3)
    assert strips.pixels(normalise(video, mean, std), mean, std).equal(video)


def boxes(root):
    """Bars of the weights: (left, top, height)."""
    found = [
        tuple(float(box.get(key, 0)) for key in ("x", "y", "height"))
        for box in root.iter("{http://www.w3.org/2000/svg}rect")
    ]
    return [box for box in found if box[0] == TITLES + 0.5]


def test_bars_are_as_high_as_weights():
    given = torch.tensor([[0.25, 0.0], [0.5, 1.0], [0.25, 0.0]])
    frames = torch.zeros(3, 2, 5, 5, dtype=torch.uint8)
    root = ElementTree.fromstring(strip_figure([Strip("x", frames, given)], NAMES))
    ground = boxes(root)[0][1] + BAR / 4
    assert boxes(root) == [
        (TITLES + 0.5, ground - BAR / 4, BAR / 4),
        (TITLES + 0.5, ground - 3 * BAR / 4, BAR / 2),
        (TITLES + 0.5, ground - BAR, BAR / 4),
    ]
    (image,) = root.iter("{http://www.w3.org/2000/svg}image")
    assert image.get("width") == str(2 * TILE)


def test_long_clips_show_sixteen_frames_and_all_weights():
    frames = torch.zeros(3, 40, 4, 4, dtype=torch.uint8)
    strip = Strip("x", frames, torch.ones(3, 40) / 3)
    root = ElementTree.fromstring(strip_figure([strip], NAMES))
    (image,) = root.iter("{http://www.w3.org/2000/svg}image")
    assert image.get("width") == str(16 * TILE)
    assert len(list(root.iter("{http://www.w3.org/2000/svg}rect"))) == 5 + 3 * 40


def draw(tiny, out):
    config = tiny.config
    strips.main(
        [
            *tiny.data("kinetics400"),
            *tiny.sections("augment"),
            *("--samples", str(config.pretrain.frames)),
            *("--stride", str(config.pretrain.stride)),
            *("--crop", str(config.spatial.crop), "--out", str(out)),
        ]
    )
    return out.read_bytes()


def test_same_input_same_bytes(tiny, tmp_path):
    first, second = (draw(tiny, tmp_path / f"{name}.svg") for name in "ab")
    assert first == second
    assert len(first) < 300_000
    root = ElementTree.fromstring(first)
    titles = {text.text for text in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"clip", "freeze", "mixup", "cutmix, window", "cutmix, view"} <= titles
    assert "background" in titles
