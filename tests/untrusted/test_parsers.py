"""Files of strangers either parse, or are refused with one error that names them."""

import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssdet.commands.configuration import read_configuration
from ssdet.config import ConfigError, load
from ssdet.data.annotation_formats import READERS, read_classes
from ssdet.data.annotations import read_dataset
from ssdet.data.feature_files import FeatureFiles, read_video_table
from ssdet.data.inventory import COLUMNS, read_inventory
from ssdet.data.label_splits import read_unlabelled
from ssdet.data.step_features import FolderSteps
from ssdet.evaluate.content_free import read_guesses
from ssdet.evaluate.detections import read_detections
from ssdet.evaluate.submission import read_submission
from ssdet.report.published import read_published
from ssdet.report.tables import read_result
from tests.tiny import tiny_config
from tests.untrusted.strategies import as_json, files, tables, texts, values

FEW = settings(max_examples=40, deadline=None)


def refused_at_most(parse, path, data, kind=ValueError):
    """Parse a file; the only error is of this kind, and names the file."""
    path.write_bytes(data)
    try:
        parse(path)
    except kind as error:
        assert str(path) in str(error)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("strange")


SHAPES = {
    "kinetics": tables(("label", "youtube_id", "time_start", "time_end", "split")),
    "charades": tables(("id", "actions", "length")),
    "table": tables(("video_id", "start_s", "end_s", "label", "split")),
    "thumos14": tables(("video", "type", "start", "end")),
    "multithumos": st.dictionaries(
        texts,
        st.fixed_dictionaries({"subset": texts, "duration": values, "actions": values}),
        max_size=3,
    ).map(as_json),
    "activitynet": st.dictionaries(
        texts,
        st.fixed_dictionaries(
            {"subset": texts, "annotations": st.lists(values, max_size=3)},
            optional={"duration": values},
        ),
        max_size=3,
    ).map(lambda videos: as_json({"database": videos})),
}


@pytest.mark.parametrize("format", READERS)
@pytest.mark.parametrize("segments", ["refuse", "repair"])
def test_label_files(folder, format, segments):
    @FEW
    @given(files(SHAPES[format]), st.sampled_from([b"", b"c000 run\n", b"0 run\n"]))
    def check(data, listed):
        classes = folder / "classes.txt"
        classes.write_bytes(listed)
        config = {"format": format, "segments": segments}
        refused_at_most(
            lambda path: read_dataset(
                "strange", config, path, path, classes if listed else None
            ),
            folder / "labels",
            data,
        )

    check()


@pytest.mark.parametrize("format", READERS)
def test_class_lists(folder, format):
    labels = folder / "labels.csv"
    labels.write_text("video_id,start_s,end_s,label,split\n")

    @FEW
    @given(
        files(
            tables(("c000 run", "1 run"), "\n"),
            texts.map(lambda t: f"1 {t}".encode("utf-8", "surrogatepass")),
        )
    )
    def check(data):
        refused_at_most(
            lambda path: read_classes(path, format, []), folder / "classes", data
        )

    check()


@FEW
@given(data=files(tables(COLUMNS)))
def test_inventories(folder, data):
    refused_at_most(read_inventory, folder / "inventory.csv", data)


@FEW
@given(data=files(tables(("v1", "1", "0.5", "0.25"), " ")))
def test_submissions(folder, data):
    refused_at_most(
        lambda path: read_submission(path, ["v1", "v2"], 2), folder / "scores.txt", data
    )


@FEW
@given(
    data=files(
        st.dictionaries(
            texts,
            st.lists(
                st.fixed_dictionaries(
                    {"label": values, "score": values, "segment": values}
                ),
                max_size=3,
            ),
            max_size=3,
        ).map(lambda results: as_json({"results": results}))
    )
)
def test_detections(folder, data):
    refused_at_most(read_detections, folder / "detections.json", data)


@FEW
@given(
    data=files(
        st.dictionaries(
            texts, st.fixed_dictionaries({"class": texts, "score": values}), max_size=3
        ).map(as_json)
    )
)
def test_scores_of_others(folder, data):
    refused_at_most(
        lambda path: read_guesses(path, ["run"]), folder / "guesses.json", data
    )


@FEW
@given(data=files(tables(("video", "numFrame", "seconds", "featureFrame"))))
def test_tables_of_videos(folder, data):
    refused_at_most(read_video_table, folder / "videos.csv", data)


@FEW
@given(data=files(tables(("video", "unlabeled_0.5"))))
def test_label_shares(folder, data):
    refused_at_most(
        lambda path: read_unlabelled(path, [], 0.5), folder / "split.csv", data
    )


@pytest.mark.parametrize("suffix", [".csv", ".npy"])
def test_features_of_others(folder, suffix):
    place = folder / f"features{suffix}"
    place.mkdir(exist_ok=True)

    def saved(array):
        file = io.BytesIO()
        np.save(file, array, allow_pickle=True)
        return file.getvalue()

    arrays = st.sampled_from(
        [
            np.zeros((3, 1, 1, 2), np.float32),
            np.array([["a"]]),
            np.zeros((2, 2), [("a", "f4")]),
            np.zeros((2, 2), "M8[s]"),
            np.zeros((0, 4)),
            np.zeros((2, 2), complex),
        ]
    ).map(saved)
    mutated = st.builds(
        lambda data, place, byte: data[:place] + byte + data[place + 1 :],
        arrays,
        st.integers(0, 130),
        st.binary(max_size=2),
    )

    @FEW
    @given(files(tables(("a", "b")), arrays, mutated))
    def check(data):
        path = place / f"v1{suffix}"
        refused_at_most(lambda path: FeatureFiles(place).read("v1"), path, data)
        if suffix == ".npy":
            refused_at_most(
                lambda path: FolderSteps(place).read("v1", 0, 1), path, data
            )

    check()


@FEW
@given(
    data=files(
        st.fixed_dictionaries({"tables": values, "figures": values}).map(as_json)
    )
)
def test_published_tables(folder, data):
    refused_at_most(lambda path: read_published([path]), folder / "tables.yaml", data)


@FEW
@given(
    data=files(
        st.fixed_dictionaries(
            {"metrics": values, "videos": values, "members": values}
        ).map(as_json)
    )
)
def test_results(folder, data):
    refused_at_most(read_result, folder / "result.json", data)


YAML = (
    b"a: &a [*a]",
    b"a: &a {b: *a}",
    b"a: 2001-99-99",
    b"? [a]\n: b",
    b"<<: 1",
    b"!!python/object/apply:os.system [touch x]",
    b"!!binary x",
    b"a: 0b",
    b"1: 2",
    b"a: 1:2:99999",
    b"\t",
    b"- " * 5000,
)


@FEW
@given(data=st.one_of(files(values.map(as_json)), st.sampled_from(YAML)))
def test_configuration_files(folder, data):
    def parse(path):
        try:
            read_configuration([], path)
        except ConfigError as error:
            if "The configuration has errors" in str(error):
                raise ConfigError(f"{path} {error}") from None
            raise

    refused_at_most(parse, folder / "config.yaml", data, ConfigError)


PLAIN = json.loads(tiny_config().model_dump_json())


def places(value, at=()):
    """The path of every key."""
    found = [at] if at else []
    if isinstance(value, dict):
        for key, inner in value.items():
            found += places(inner, (*at, key))
    return found


PLACES = places(PLAIN)


@settings(max_examples=300, deadline=None)
@given(place=st.sampled_from(PLACES), value=values, more=st.booleans())
def test_configurations(place, value, more):
    """Any value in the place of any other: a ConfigError that names a key, or none."""
    content = json.loads(json.dumps(PLAIN))
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    inner[str(value)[:90] if more else place[-1]] = value
    try:
        load(content)
    except ConfigError as error:
        assert "The configuration has errors" in str(error)
