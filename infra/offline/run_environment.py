"""The environment of an offline Terraform process: no credentials, no registry, the generic provider for every provider."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from infra.offline.attached import reattachment
from infra.offline.bindings import BindingError
from infra.offline.schemas import Schemas, only, provider_schemas
from infra.terraform_cli.synthesized import SynthesizedStack

CREDENTIALS = ("ARM_", "AZURE_", "DATABRICKS_", "TF_VAR_", "TF_CLI_ARGS", "TF_TOKEN_", "TF_PLUGIN_", "TF_REATTACH_")
"""Prefixes of the environment variables that are never passed to an offline run."""


def run_environment(folder: Path, stacks: Iterable[SynthesizedStack], *, cache: Path | None = None) -> dict[str, str]:
    """Start the providers and write their schemas and Terraform's own configuration file below `folder`.

    Parameters
    ----------
    stacks
        The stacks that will run; the providers serve only the types that these use.
    cache
        Folder of recovered schemas; None for the user's.

    Returns
    -------
    dict
        The complete environment for the Terraform process: without credentials, with the configuration file.

    Raises
    ------
    BindingError
        If a stack requires another version of a provider than the installed bindings have.
    ProviderError
        If a provider does not start.
    """
    stacks = list(stacks)
    files = {}
    for source in sources_of(stacks):
        address, schemas = address_of(source), schemas_of(source, stacks, cache=cache, states=folder / "state")
        files[address] = folder / "schemas" / f"{address.rsplit('/', 1)[-1]}.json"
        files[address].parent.mkdir(parents=True, exist_ok=True)
        files[address].write_text(json.dumps(schemas), encoding="utf-8")
    configuration = folder / "terraform.rc"
    configuration.write_text(_configuration(folder / "no-providers"), encoding="utf-8")
    return child_environment(os.environ, configuration=configuration, reattach=reattachment(files))


def child_environment(inherited: Mapping[str, str], *, configuration: Path, reattach: str) -> dict[str, str]:
    """Return the environment of an offline Terraform process.

    The environment of the calling process is not changed, and none of its credentials is passed on.
    """
    kept = {name: value for name, value in inherited.items() if not name.startswith(CREDENTIALS)}
    return {
        **kept,
        "TF_CLI_CONFIG_FILE": str(configuration),
        "TF_REATTACH_PROVIDERS": reattach,
        "TF_IN_AUTOMATION": "1",
        "TF_INPUT": "0",
        "CHECKPOINT_DISABLE": "1",
    }


def schemas_of(
    source: str, stacks: Iterable[SynthesizedStack], *, cache: Path | None = None, states: Path | None = None
) -> Schemas:
    """Return the schemas of a provider for the types that some stacks use.

    Parameters
    ----------
    states
        A folder with states of an earlier run: Terraform reads there also what the stacks no longer have.

    Raises
    ------
    BindingError
        If a stack requires another version than the installed bindings have.
    """
    schemas = _slice(address_of(source).rsplit("/", 1)[-1], stacks, cache, states)
    _require_version(source, str(schemas["version"]), stacks)
    return schemas


def sources_of(stacks: Iterable[SynthesizedStack]) -> list[str]:
    """Return the sources of all providers that some stacks require, in order."""
    return sorted({str(provider["source"]) for stack in stacks for provider in stack.providers.values()})


def address_of(source: str) -> str:
    """Return ``host/namespace/type`` for a provider's source."""
    parts = source.split("/")
    defaults = ["registry.terraform.io", "hashicorp"]
    return "/".join([*defaults[: 3 - len(parts)], *parts])


def _slice(
    provider: str, stacks: Iterable[SynthesizedStack], cache: Path | None, states: Path | None = None
) -> Schemas:
    types = {kind: {t for stack in stacks for t in stack.types(kind)} for kind in ("resource", "data")}
    kept = _types_kept(provider, states)
    return only(provider_schemas(provider, cache=cache), resources=types["resource"] | kept, data_sources=types["data"])


def _types_kept(provider: str, states: Path | None) -> set[str]:
    """Return the provider's types of which a state in a folder still has a resource."""
    files = sorted(states.glob("*.tfstate")) if states else ()
    held = (one for file in files for one in json.loads(file.read_text(encoding="utf-8")).get("resources", ()))
    return {
        str(one["type"]) for one in held if one["mode"] == "managed" and str(one["type"]).startswith(f"{provider}_")
    }


def _require_version(source: str, version: str, stacks: Iterable[SynthesizedStack]) -> None:
    for stack in stacks:
        for provider in stack.providers.values():
            if provider["source"] == source and provider.get("version", version) != version:
                raise BindingError(
                    f"{stack.name} requires {source} {provider['version']}, the installed bindings are of {version}: "
                    "synthesize again with these bindings."
                )


def _configuration(nothing: Path) -> str:
    # The only source of providers is an empty folder: Terraform asks no registry, and a provider that is not attached is missing.
    nothing.mkdir(exist_ok=True)
    return (
        "disable_checkpoint = true\n"
        f"provider_installation {{\n  filesystem_mirror {{\n    path = {json.dumps(str(nothing))}\n  }}\n}}\n"
    )
