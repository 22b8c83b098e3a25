"""The page of scores over time, in a real browser: every click and key."""

import json
import re

import numpy as np
import pytest

from ssdet.data.annotations import Segment
from ssdet.data.interpolate import Stream
from ssdet.data.sampling import Timeline
from ssdet.evaluate.protocol import EvaluatedVideo
from ssdet.report.timeline_page import timeline_page
from tests.browser import Browser

CLASSES = ("late", "early", "loud", "</script><b>quiet & small</b>")
RESULT = {"name": "all", "dataset": "home"}


def made(*videos):
    """A page of videos of 10 s: (name, segments, probability at start and end)."""
    shown, streams = [], {}
    for name, segments, probability in videos:
        found = tuple(Segment(*segment) for segment in segments)
        shown.append(EvaluatedVideo(name, found, Timeline(80, 10.0, 1)))
        p = np.asarray(probability)
        logits = np.log(p / (1 - p))
        streams[name] = [Stream(logits, np.array([0.0, 10.0]))]
    return timeline_page(RESULT, shown, streams, CLASSES)


TWO = made(
    (
        "first",
        [(4.0, 6.0, "late"), (1.0, 2.5, "early"), (7.0, 8.0, "early")],
        [[0.5, 0.25, 0.75, 0.125]] * 2,
    ),
    ("second", [(0.0, 10.0, "loud")], [[0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.3, 0.9]]),
)


def test_what_is_stored():
    text = re.search(r'id="data">(.*?)</script>', TWO, re.S)[1]
    data = json.loads(text)
    assert tuple(data["classes"]) == CLASSES
    first, second = data["videos"]
    assert first["segments"] == [[1, 1.0, 2.5], [0, 4.0, 6.0], [1, 7.0, 8.0]]
    assert (first["id"], first["duration"], first["points"]) == ("first", 10.0, 160)
    assert len(second["scores"]) == 4 * -(-2 * 160 * len(CLASSES) // 3)


def test_the_page_is_whole():
    """One file: no address but that of SVG, and no name breaks out of the data."""
    assert set(re.findall(r"\w+://[^\s\"']+", TWO)) == {"http://www.w3.org/2000/svg"}
    assert "<b>quiet" not in TWO
    assert "default-src 'none'" in TWO.replace("&#x27;", "'")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def page(browser, tmp_path):
    """The page, just opened; whatever is done to it must raise no error."""
    (tmp_path / "page.html").write_text(TWO, encoding="utf-8")
    browser.open(tmp_path / "page.html")
    yield browser
    assert browser.complaints() == []


def names(page):
    rows = "[...document.querySelectorAll('.row:not([hidden])')]"
    return page.evaluate(f"{rows}.map((row) => row.dataset.class)")


def test_annotated_classes_come_first(page):
    assert names(page) == ["early", "late", "loud", CLASSES[3]]
    assert page.text("#counts") == "3 annotated actions of 2 classes"
    bars = "document.querySelectorAll('.row')[0].querySelectorAll('rect:not(.foot)')"
    ends = f"[...{bars}].map((bar) => [bar.x.baseVal.value, bar.width.baseVal.value])"
    assert page.evaluate(ends) == [[100, 150], [700, 100]]


def test_a_click_chooses_time_and_class(page):
    page.click(".row:nth-child(2) .lane", share=0.5)
    time_s, name, score, annotated = page.text("#readout").split(" · ")
    assert float(time_s.removesuffix(" s")) == pytest.approx(5.0, abs=0.05)
    assert (name, score, annotated) == ("late", "score 0.500", "annotated")
    assert page.text(".row:nth-child(1) .now") == "0.250"
    page.click(".row:nth-child(3) .lane", share=0.0)
    assert page.text("#readout") == "0.00 s · loud · score 0.750 · not annotated"


def test_the_mouse_asks_without_choosing(page):
    before = page.text("#readout")
    page.point(".row:nth-child(1) .lane", share=0.2)
    assert re.fullmatch(
        r"(1\.9|2\.0)\d s · early · score 0\.250 · annotated", page.text("#tip")
    )
    assert not page.evaluate("document.getElementById('tip').hidden")
    assert page.text("#readout") == before
    page.point("h1")
    assert page.evaluate("document.getElementById('tip').hidden")


def test_keys_move_through_time_classes_and_videos(page):
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "ArrowDown"):
        page.press(key)
    step_s = 10 / 159
    assert page.text("#readout").startswith(f"{step_s:.2f} s · late · score 0.500")
    page.press("ArrowUp")
    assert " · early · " in page.text("#readout")
    page.press("n")
    assert names(page) == ["loud", CLASSES[3], "early", "late"]
    assert page.evaluate("document.getElementById('video').value") == "1"


def test_buttons_go_round_the_videos(page):
    page.click("#previous")
    assert page.text("#readout").startswith("0.00 s · loud · score 0.300 · annotated")
    page.click("#next")
    assert names(page)[0] == "early"


def test_rows_can_be_left_out(page):
    page.click("#labelled")
    assert names(page) == ["early", "late"]
    page.click("#search")
    page.order("Input.insertText", text="LATE")
    assert names(page) == ["late"]
    assert " · late · " in page.text("#readout")
    page.order("Input.insertText", text=" and more")
    assert names(page) == []
    assert not page.evaluate("document.getElementById('none').hidden")


def test_the_height_of_rows(page):
    top = (
        "Math.min(...[...document.querySelector('.row .curve').points]"
        ".map((p) => p.y)).toFixed(0)"
    )
    heights = {}
    for scale in ("video", "class", "one"):
        page.evaluate(
            f"(() => {{ const scale = document.getElementById('scale');"
            f" scale.value = '{scale}'; scale.dispatchEvent(new Event('change')) }})()"
        )
        heights[scale] = 100 - float(page.evaluate(top))
    # of `early`, 0.25 of 0.75, of 0.25 and of 1; a full row is drawn 94 high
    assert heights == {"video": 31.0, "class": 94.0, "one": 23.0}


def test_scores_without_any_probability(browser, tmp_path):
    streams = {"v": [Stream(np.full((1, 1), -1e30), np.zeros(1))]}
    shown = [EvaluatedVideo("v", (), Timeline(1, 0.04, 1))]
    path = tmp_path / "page.html"
    path.write_text(timeline_page(RESULT, shown, streams, ("a",)), encoding="utf-8")
    browser.open(path)
    assert browser.text("#readout") == "0.00 s · a · score 0.000 · not annotated"
    assert browser.complaints() == []


def test_errors_and_requests_are_noticed(browser, tmp_path):
    """The tests above could not fail otherwise."""
    (tmp_path / "bad.html").write_text(
        "<script>console.error('said'); fetch('http://example.invalid/x')"
        ".catch(() => {}); undefined_function()</script>"
    )
    browser.open(tmp_path / "bad.html")
    complaints = "\n".join(browser.complaints())
    browser.problems.clear()
    browser.requests.clear()
    for expected in (
        "said",
        "asked for http://example.invalid/x",
        "undefined_function",
    ):
        assert expected in complaints
