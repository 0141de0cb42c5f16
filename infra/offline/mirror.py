"""The folder from which Terraform installs the generic provider instead of a registry, and the environment it runs in."""

import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from infra.offline.bindings import BindingError
from infra.offline.handshake import SCHEMA_FOLDER
from infra.offline.schemas import Schemas, only, provider_schemas
from infra.offline.stacks import SynthesizedStack

CREDENTIALS = ("ARM_", "AZURE_", "DATABRICKS_", "TF_VAR_", "TF_CLI_ARGS", "TF_TOKEN_", "TF_PLUGIN_", "TF_REATTACH_")
"""Beginnings of the environment variables that never reach an offline run."""


def lay_out(
    folder: Path, stacks: Iterable[SynthesizedStack], *, platform: str, cache: Path | None = None
) -> dict[str, str]:
    """Write mirror, schemas and Terraform's own configuration file below `folder`.

    Parameters
    ----------
    stacks
        The stacks that will run; the providers know exactly the types that these use.
    platform
        Operating system and architecture as Terraform names them, for example ``linux_amd64``.
    cache
        Folder of recovered schemas; None for the user's.

    Returns
    -------
    dict
        The complete environment for the Terraform process: without credentials, with the configuration file.

    Raises
    ------
    BindingError
        If a stack asks for another version of a provider than the one whose schemas are installed.
    """
    stacks = list(stacks)
    schema_folder = folder / "schemas"
    schema_folder.mkdir(parents=True, exist_ok=True)
    for source in sorted({str(p["source"]) for stack in stacks for p in stack.providers.values()}):
        address = _address(source)
        schemas = _slice(address.rsplit("/", 1)[-1], stacks, cache)
        _write_launcher(folder / "mirror" / address, str(schemas["version"]), platform)
        _require_version(source, str(schemas["version"]), stacks)
        target = schema_folder / f"{address.rsplit('/', 1)[-1]}.json"
        target.write_text(json.dumps(schemas), encoding="utf-8")
    configuration = folder / "terraform.rc"
    configuration.write_text(_configuration(folder / "mirror"), encoding="utf-8")
    return child_environment(os.environ, configuration=configuration, schema_folder=schema_folder)


def child_environment(inherited: Mapping[str, str], *, configuration: Path, schema_folder: Path) -> dict[str, str]:
    """Return the environment of an offline Terraform process.

    Nothing of it is set for the calling process, and no credential of that one is passed on.
    """
    kept = {name: value for name, value in inherited.items() if not name.startswith(CREDENTIALS)}
    return {
        **kept,
        "TF_CLI_CONFIG_FILE": str(configuration),
        SCHEMA_FOLDER: str(schema_folder),
        # The provider listens on a socket in a folder of its own; no certificates are needed between two processes.
        "TF_DISABLE_PLUGIN_TLS": "1",
        "TF_IN_AUTOMATION": "1",
        "TF_INPUT": "0",
        "CHECKPOINT_DISABLE": "1",
    }


def _address(source: str) -> str:
    """Return ``host/namespace/type`` for a provider's source."""
    parts = source.split("/")
    defaults = ["registry.terraform.io", "hashicorp"]
    return "/".join([*defaults[: 3 - len(parts)], *parts])


def _slice(provider: str, stacks: Iterable[SynthesizedStack], cache: Path | None) -> Schemas:
    types = {kind: {t for stack in stacks for t in stack.types(kind)} for kind in ("resource", "data")}
    return only(provider_schemas(provider, cache=cache), resources=types["resource"], data_sources=types["data"])


def _require_version(source: str, version: str, stacks: Iterable[SynthesizedStack]) -> None:
    for stack in stacks:
        for provider in stack.providers.values():
            if provider["source"] == source and provider.get("version", version) != version:
                raise BindingError(
                    f"{stack.name} requires {source} {provider['version']}, the installed bindings are of {version}: "
                    "synthesize again with these bindings."
                )


def _write_launcher(package: Path, version: str, platform: str) -> None:
    name = package.name
    launcher = package / version / platform / f"terraform-provider-{name}_v{version}"
    launcher.parent.mkdir(parents=True, exist_ok=True)
    root = Path(__file__).resolve().parents[2]
    launcher.write_text(
        f'#!/bin/sh\nPYTHONPATH="{root}" exec "{sys.executable}" -m infra.offline.provider {name}\n', encoding="utf-8"
    )
    launcher.chmod(0o755)


def _configuration(mirror: Path) -> str:
    # Without a `direct` block no registry is ever asked.
    return (
        "disable_checkpoint = true\n"
        f"provider_installation {{\n  filesystem_mirror {{\n    path = {json.dumps(str(mirror))}\n  }}\n}}\n"
    )
