"""config.yaml and what takes the place of its values."""

from pathlib import Path

import pytest

from ssdet.commands.configuration import read_configuration
from ssdet.config import ConfigError

BASE = Path(__file__).parents[2] / "config/config.yaml"


def test_later_files_go_first_key_by_key(tmp_path):
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text("seed: 3\npredict: {alignment: time}\n")
    second.write_text("seed: 4\nensembles: {small: [fine_cls]}\n")
    plain = read_configuration([], BASE)
    cfg = read_configuration([first, second], BASE)
    assert (cfg.seed, cfg.predict.alignment) == (4, "time")
    assert cfg.ensembles == {**plain.ensembles, "small": ("fine_cls",)}
    assert cfg.fine == plain.fine


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: [", "a.yaml is not YAML"),
        ("seed", "a.yaml should hold keys and values"),
        ("sead: 3", "sead: no such key"),
        ("seed: -1", "seed: .*found -1"),
    ],
)
def test_bad_files_are_named(tmp_path, text, message):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_configuration([path], BASE)


def test_an_absent_file_says_where_to_start(tmp_path):
    with pytest.raises(ConfigError, match=r"no file .*start in the folder that holds"):
        read_configuration([], tmp_path / "config/config.yaml")
