"""The matrix of faults: how often each was tried on each stage, and what was lost."""

import datetime
from collections import Counter
from pathlib import Path

README = Path(__file__).with_name("README.md")
MARKS = ("<!-- matrix -->\n", "<!-- end of matrix -->\n")


def cells_of(reports):
    """(fault, stage) -> tries, and losses, of the reports of tests."""
    tries, losses = Counter(), Counter()
    for report in reports:
        for name, cell in getattr(report, "user_properties", ()):
            if name == "fault" and report.when == "call":
                key = cell["fault"], cell["stage"]
                tries[key] += cell["tries"]
                losses[key] += bool(report.failed)
    return tries, losses


def as_markdown(tries, losses):
    """A row for each stage, a column for each fault: tries, and losses if any."""
    faults = list(dict.fromkeys(fault for fault, _ in tries))
    stages = list(dict.fromkeys(stage for _, stage in tries))
    lines = [
        "| stage | " + " | ".join(faults) + " |",
        "|---|" + "--:|" * len(faults),
    ]
    for stage in stages:
        shown = [_cell((fault, stage), tries, losses) for fault in faults]
        lines.append(f"| {stage} | " + " | ".join(shown) + " |")
    lines += ["", f"Tries: {tries.total()}, losses: {losses.total()}."]
    return "\n".join(lines) + "\n"


def _cell(key, tries, losses):
    if key not in tries:
        return ""
    return f"**{losses[key]} lost** of {tries[key]}" if losses[key] else str(tries[key])


def keep(text):
    """Put the matrix into the README."""
    before, _, rest = README.read_text().partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    today = datetime.date.today().isoformat()
    told = f"{MARKS[0]}Run on {today}.\n\n{text}{MARKS[1]}"
    README.write_text(before + told + after)


def summarise(terminalreporter, config):
    """Print the matrix of a run of tests, if faults were among them."""
    stats = terminalreporter.stats
    reports = [r for key in ("passed", "failed") for r in stats.get(key, ())]
    tries, losses = cells_of(reports)
    if not tries:
        return
    text = as_markdown(tries, losses)
    terminalreporter.section("fault matrix: tries")
    terminalreporter.write(text)
    if config.getoption("--keep-matrix"):
        keep(text)
