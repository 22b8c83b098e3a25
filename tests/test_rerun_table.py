"""The table of config/README.md: which key reruns which stages; all keys are in it.

That it is true is tested in test_workflow.py.
"""

import re

from tests.test_config import ROOT, items, read


def keys_of_row(cell):
    """The keys that the first cell of a row of the table of reruns speaks of."""
    cell = re.sub(r"all else but .*|`\w+` in a file of [^;]*", "", cell)
    found = []
    for key, parts in re.findall(r"`([a-z][\w.<>]*)`(?:: ((?:`\w+`(?:, )?)+))?", cell):
        names = re.findall(r"`(\w+)`", parts)
        found += [f"{key}.{name}" for name in names] or [key]
    return found


def test_the_table_of_reruns_has_every_key():
    """Each key stands in one row of config/README.md, and no row speaks of others."""
    recipe, text = read("config"), (ROOT / "config" / "README.md").read_text()
    table = text.split("| changed | first stages to run again |")[1].split("\n\n")[0]
    cells = [line.split("|")[1] for line in table.splitlines()[2:]]
    rows = [(key, cell) for cell in cells for key in keys_of_row(cell)]
    named = {
        "datasets.kinetics400": "datasets.<set>",
        "head.heads.se": "head.heads.<name>",
    }
    others = tuple(
        f"{section}.{name}."
        for section, kept in (("datasets", "kinetics400"), ("head.heads", "se"))
        for name in section_of(recipe, section)
        if name != kept
    )
    keys = {".".join(path) for path, _ in items(recipe)}
    keys = {key for key in keys if not f"{key}.".startswith(others)}
    for ours, theirs in named.items():
        keys = {re.sub(rf"^{ours}(?=\.|$)", theirs, key) for key in keys}
    unknown = [key for key, _ in rows if key not in keys]
    assert not unknown, "the table speaks of keys that there are not"
    leaves = [k for k in keys if not any(o.startswith(f"{k}.") for o in keys)]
    wrong = {}
    for key in leaves:
        above = [k for k, _ in rows if f"{key}.".startswith(f"{k}.")]
        longest = [k for k in above if len(k) == max(map(len, above))]
        if len(longest) != 1:
            wrong[key] = len(longest)
    assert not wrong, "keys that do not stand in one row"


def section_of(recipe, name):
    """A section by its dotted name."""
    for part in name.split("."):
        recipe = recipe[part]
    return recipe
