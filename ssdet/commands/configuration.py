"""The configuration of the workflow, read as Snakemake reads it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from ssdet.config import Config, ConfigError, load

BASE = Path("config/config.yaml")


def read_configuration(overrides: Sequence[Path], base: Path = BASE) -> Config:
    """Read config/config.yaml and files whose values take the place of its own.

    Args:
        overrides: the later goes before the earlier.
        base: the file with every key.

    Raises:
        ConfigError: a file is absent or not YAML, or a key is bad.
    """
    merged: dict[str, Any] = {}
    for path in (base, *overrides):
        merged = _merged(merged, _read(path))
    return load(merged)


def refuse_unknown(dataset: str, config: Config) -> None:
    """See that a data set that the command line names is configured.

    Raises:
        ValueError: it is not.
    """
    if dataset not in config.datasets:
        raise ValueError(
            f"--dataset {dataset} is not one of datasets in the configuration:"
            f" {', '.join(config.datasets)}"
        )


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"no file {path}; start in the folder that holds config/config.yaml"
        ) from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path} is not YAML: {error}") from None
    except RecursionError:
        raise ConfigError(f"{path} is not YAML: nested too deeply") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path} should hold keys and values")
    return content


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Mappings are merged key by key; anything else is replaced."""
    both = dict(old)
    for key, value in new.items():
        inner = old.get(key)
        if isinstance(inner, dict) and isinstance(value, dict):
            value = _merged(inner, value)
        both[key] = value
    return both
