"""Finds the reference files: a test names a pattern, and runs once for each match.

    @pytest.mark.golden("x3d_cases.json")
    def test_network(golden_file): ...

`--golden DIR` looks for the same patterns below DIR instead of in this folder.
"""

from pathlib import Path

HERE = Path(__file__).parent


def pytest_generate_tests(metafunc):
    marker = metafunc.definition.get_closest_marker("golden")
    if marker is None:
        return
    folder = metafunc.config.getoption("--golden")
    root = HERE if folder is None else Path(folder)
    files = sorted(path for pattern in marker.args for path in root.rglob(pattern))
    if not files and folder is None:
        raise FileNotFoundError(f"no {' or '.join(marker.args)} below {root}")
    names = [str(path.relative_to(root)) for path in files]
    metafunc.parametrize("golden_file", files, ids=names)
