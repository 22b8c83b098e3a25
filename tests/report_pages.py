"""Looks at a report of Snakemake as a reader does: unpacks it and clicks through it."""

import json
import zipfile

from tests.browser import Browser

SHOWN = ("text/html", "image/svg+xml")  # the rest is saved


def look_through(report, folder):
    """Open every page and figure of a report; click through every timeline.

    Args:
        report: the zip file.
        folder: an empty folder.

    Returns:
        What pages complained of or asked a network for, and how many results and how
        many timelines were looked at.
    """
    with zipfile.ZipFile(report) as file:
        file.extractall(folder)
    start = next(folder.glob("*/report.html"))
    with Browser(folder / "profile") as browser:
        browser.open(start)
        browser.wait("document.querySelector('#rulegraph canvas, #rulegraph svg')")
        shown = set()
        for category, parts in browser.evaluate("categories").items():
            for part in parts:
                shown |= _look_at(browser, category, part if len(parts) > 1 else None)
        kinds = browser.evaluate(
            "Object.values(results).map((one) => [one.data_uri, one.mime_type])"
        )
        assert shown == {uri for uri, kind in kinds if kind in SHOWN}
        timelines = sorted(start.parent.rglob("*_timeline.html"))
        for page in timelines:
            browser.open(page)
            _click_through(browser)
        return browser.complaints(), len(shown), len(timelines)


def _look_at(browser, category, part):
    """Go to a part of the menu, and press every eye there that shows something."""
    browser.click("nav ol a")  # home
    for word in filter(None, (category, part)):
        link = f"//nav//ul/li/a[normalize-space()='{word}']"
        browser.wait(_found(link))
        browser.evaluate(f"{_found(link)}.click()")
    browser.wait("document.querySelector('nav tbody tr')")
    seen = set()
    _press_eyes(browser, seen)
    if browser.evaluate("Boolean(document.querySelector('nav fieldset'))"):
        browser.click("nav fieldset label:last-child")
        _press_eyes(browser, seen)
    return seen


def _found(path):
    """JavaScript for the first element of an XPath."""
    return (
        f"document.evaluate({json.dumps(path)}, document, null,"
        " XPathResult.FIRST_ORDERED_NODE_TYPE).singleNodeValue"
    )


def _press_eyes(browser, seen):
    """Press the eye of every line; adds the addresses that were shown."""
    rows = browser.evaluate("document.querySelectorAll('nav tbody tr').length")
    for row in range(1, rows + 1):
        eye = f"nav tbody tr:nth-child({row}) a"
        if browser.evaluate(
            f"document.querySelector({eye!r}).hasAttribute('download')"
        ):
            continue  # a table or JSON, which browsers save
        browser.evaluate(f"document.querySelector({eye!r}).scrollIntoView()")
        browser.click(eye)
        browser.wait(f"!{json.dumps([None, *seen])}.includes(app.state.contentPath)")
        path = browser.evaluate("app.state.contentPath")
        shown = "document.querySelector('iframe, .grow > .p-3 > img')"
        browser.wait(f"{shown} && {shown}.src.endsWith({path!r})")
        if path.endswith("svg"):
            browser.wait(f"{shown}.naturalWidth > 0")
        seen.add(path)


def _click_through(browser):
    """Go through the videos of a timeline, and in each through its rows."""
    videos = browser.evaluate("document.getElementById('video').options.length")
    titles = set()
    for _ in range(videos):
        titles.add(browser.evaluate("document.getElementById('video').value"))
        rows = browser.evaluate("document.querySelectorAll('.row').length")
        said = set()
        for row in range(1, min(rows, 5) + 1):
            lane = f".row:nth-child({row}) .lane"
            browser.evaluate(
                f"document.querySelector({lane!r}).scrollIntoView({{block: 'center'}})"
            )
            browser.click(lane, share=row / 6)
            said.add(browser.text("#readout"))
        assert len(said) == min(rows, 5)
        browser.press("ArrowRight")
        assert browser.text("#readout") not in said
        browser.click("#labelled")
        assert (
            browser.evaluate(
                "document.querySelectorAll('.row:not(.labelled):not([hidden])').length"
            )
            == 0
        )
        browser.click("#labelled")
        browser.evaluate("scrollTo(0, 0)")
        browser.click("#next")
    assert len(titles) == videos
