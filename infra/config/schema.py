"""JSON Schemas of the settings files, for editors; generated from the models, and a test compares them."""

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel

from infra.config.loading import FOLDER
from infra.config.model import AccountSettings, EnvironmentSettings, TeamsSettings

MODELS: Mapping[str, type[BaseModel]] = {
    "account": AccountSettings,
    "environment": EnvironmentSettings,
    "teams": TeamsSettings,
}
"""The model of each kind of settings file; every file's first line names its schema for the editor."""


def schema_files(folder: Path = FOLDER / "schema") -> Mapping[Path, str]:
    """Return the text of every schema file by its path."""
    return {folder / f"{name}.json": _schema(model) for name, model in MODELS.items()}


def write_schemas(folder: Path = FOLDER / "schema") -> list[Path]:
    """Write every schema file and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in schema_files(folder).items():
        path.write_text(text, encoding="utf-8")
    return sorted(schema_files(folder))


def _schema(model: type[BaseModel]) -> str:
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema()}
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"
