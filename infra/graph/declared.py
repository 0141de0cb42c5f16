"""Stacks as values in the form of synthesized ones, without cdktf: for questions that need an answer in a second.

Nothing here is written to disk or deployed; `infra check` reads what cdktf wrote. A test holds both to the same findings.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from infra.synthesis.cdktf_seam import SOURCES
from infra.synthesis.stack import RemoteState, Resource, Stack, remote_state_id
from infra.terraform_cli.synthesized import SynthesizedStack

VERSION = "0.0.0"
"""In the place of a provider's version, which only the bindings state."""


def as_synthesized(stacks: Iterable[Stack]) -> Mapping[str, SynthesizedStack]:
    """Return stacks with their content as Terraform reads it, by name."""
    return {
        stack.name: SynthesizedStack(name=stack.name, folder=Path(stack.name), content=_content(stack))
        for stack in stacks
    }


def _content(stack: Stack) -> dict[str, Any]:
    sections: dict[str, dict[str, dict[str, Any]]] = {"resource": {}, "data": {}}
    for resource in stack.resources.values():
        section = sections["data" if resource.is_data else "resource"]
        section.setdefault(resource.type, {})[resource.name] = _arguments(resource)
    if stack.read:
        sections["data"]["terraform_remote_state"] = {
            remote_state_id(other): _state(read.state) for other, read in stack.read.items()
        }
    providers: dict[str, list[dict[str, Any]]] = {}
    for provider in stack.providers.values():
        providers.setdefault(provider.type, []).append({"alias": provider.alias, **provider.arguments})
    kind, place = _place(stack.state)
    required = {kind: {"source": SOURCES[kind], "version": VERSION} for kind in sorted(providers)}
    return {
        "terraform": {"backend": {kind: place}, "required_providers": required},
        "provider": providers,
        "output": {name: {"value": value} for name, value in stack.outputs.items()},
        **{name: content for name, content in sections.items() if content},
        **stack.state_blocks(),
    }


def _arguments(resource: Resource) -> dict[str, Any]:
    lifecycle: dict[str, Any] = {}
    if resource.prevent_destroy:
        lifecycle["prevent_destroy"] = True
    if resource.ignore_changes:
        lifecycle["ignore_changes"] = list(resource.ignore_changes)
    if resource.preconditions:
        lifecycle["precondition"] = [
            {"condition": one.condition, "error_message": one.message} for one in resource.preconditions
        ]
    return {
        **resource.arguments,
        "provider": resource.provider.reference,
        **({"depends_on": list(resource.depends_on)} if resource.depends_on else {}),
        **({"lifecycle": lifecycle} if lifecycle else {}),
    }


def _place(state: RemoteState) -> tuple[str, dict[str, Any]]:
    if state.azure is None:
        return "local", {"path": state.local_path}
    return "azurerm", {"use_azuread_auth": True, **state.azure}


def _state(state: RemoteState) -> dict[str, Any]:
    kind, place = _place(state)
    return {"backend": kind, "config": place}
