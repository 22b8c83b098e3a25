"""When a fault was borne well, and how many were."""

from functools import cache

from tests.faults.content import content


@cache
def undisturbed(path, parents=True):
    """What the undisturbed run wrote."""
    return content(path, parents)


def assert_nothing_wrong(chain, job, folder, parents=True):
    """Each output is as in the undisturbed run, or not there."""
    for name in job.outputs:
        found = content(folder / name, parents)
        expected = undisturbed(chain.folder / name, parents)
        if (folder / name).is_dir():  # of `synthetic`: some of its files
            found = {k: v for k, v in found.items() if "/." not in k}
            expected = {k: expected.get(k) for k in found}
        assert found is None or found == expected, f"{name} is wrong"


def assert_same(chain, job, folder):
    """All outputs are as in the undisturbed run, and nothing else is left."""
    for name in job.outputs:
        found = content(folder / name)
        assert found == undisturbed(chain.folder / name), f"{name} differs"
    left = [
        str(path)
        for path in folder.rglob("*")
        if path.name.endswith((".tmp", ".resume", ".parts"))
    ]
    assert not left


def assert_clear(ended, *names):
    """It ended with one message that says these."""
    assert ended.status == 1, ended
    assert "Traceback" not in ended.said, ended.said
    _, error, message = ended.said.rpartition("\nerror: ")
    if ended.said.startswith("error: "):
        error, message = error or "error: ", message
    assert error, ended.said
    for name in names:
        assert name in message, message


class Tries:
    """How often a fault was tried on a stage in a test; kept in the test's report."""

    def __init__(self, item):
        """Nothing was tried yet."""
        self._item = item

    def __call__(self, fault, stage):
        """A counter: add 1 to its `tries` for each try."""
        cell = {"fault": fault, "stage": stage, "tries": 0}
        self._item.user_properties.append(("fault", cell))
        return cell
