"""The JSON schema of config.yaml, for editors: `python -m ssdet.config_schema`."""

from __future__ import annotations

import json
import sys

from ssdet.config import Config


def schema_text() -> str:
    """The schema as it stands in workflow/schemas/config.schema.json."""
    draft = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps(draft | Config.model_json_schema(), indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
