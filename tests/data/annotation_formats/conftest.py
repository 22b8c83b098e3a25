"""Made-up label files, in the formats of the published ones."""

import json

import pytest

from ssdet.data.annotations import read_dataset


@pytest.fixture
def read(tmp_path):
    """Write label files and read them; a file is text, bytes, or an object as JSON.

    read(format, training, testing=None, classes=None, segments="refuse")
    """

    def read(format, training, testing=None, classes=None, segments="refuse"):
        paths = {}
        files = {"training": training, "testing": testing, "classes": classes}
        for name, content in files.items():
            if content is None:
                continue
            if isinstance(content, dict):
                content = json.dumps(content)
            if isinstance(content, str):
                content = content.encode()
            paths[name] = tmp_path / name
            paths[name].write_bytes(content)
        return read_dataset(
            "mine",
            {"format": format, "segments": segments},
            paths["training"],
            paths.get("testing", paths["training"]),
            paths.get("classes"),
        )

    return read
