"""A stack as it is before a plan is applied, in the form of a synthesized one, so that its graph can be read.

A plan states values, the synthesized stack states references. What the plan does not change keeps its reference; a value
that differs is replaced by the reference that it has in the plan's own state, if exactly one thing there has that value.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from infra.terraform_cli.synthesized import REMOTE_STATE, SynthesizedStack

OWN = frozenset({"id", "name", "display_name", "path", "url", "comment"})
"""What a resource is called itself, which refers to nothing."""
NAMING = ("id", "name", "application_id", "object_id", "display_name", "principal_id", "workspace_id", "url")
"""The attributes by which resources refer to one another."""
References = Mapping[str, tuple[tuple[str, str], ...]]
"""Value to the type and the expression of everything that has it."""


def before_plan(stack: SynthesizedStack, plan: Mapping[str, Any]) -> SynthesizedStack:
    """Return the stack as it is now, by its plan.

    Parameters
    ----------
    stack
        As synthesized from the tree that is planned.
    plan
        As ``terraform show -json`` writes it
        (https://developer.hashicorp.com/terraform/internals/json-format#plan-representation).
    """
    known = _references(plan)
    resources = {kind: dict(named) for kind, named in stack.content.get("resource", {}).items()}
    for changed in plan.get("resource_changes", ()):
        if changed.get("mode") == "data" or changed["change"]["actions"] in (["no-op"], ["read"]):
            continue
        kind, name = changed["type"], changed["name"]
        stated = resources.get(kind, {}).pop(name, {})
        if changed["change"].get("before") is not None:
            resources.setdefault(kind, {})[name] = {**stated, **_differing(changed["change"], stated, known)}
    content = {**stack.content, "resource": resources}
    return dataclasses.replace(stack, content=content)


def _differing(change: Mapping[str, Any], stated: Mapping[str, Any], known: References) -> dict[str, Any]:
    """Return the arguments whose value now is another than the one that is planned; all of what is destroyed."""
    before, after = change["before"], change.get("after")
    unknown = change.get("after_unknown") or {}
    found = {}
    for name, value in before.items():
        kept = after is not None and (value == after.get(name) or (name in stated and unknown.get(name) is True))
        if not kept:
            found[name] = value if name in OWN else _referred(name, value, known)
    return found


def _referred(argument: str, value: Any, known: References) -> Any:
    """Return a value with the references that it stands for."""
    if isinstance(value, Mapping):
        return {name: _referred(name, inner, known) for name, inner in value.items()}
    if isinstance(value, list):
        return [_referred(argument, inner, known) for inner in value]
    found = known.get(str(value), ()) if value is not None and not isinstance(value, bool) else ()
    stem = argument.removesuffix("_id").removesuffix("_name")
    fitting = [expression for kind, expression in found if kind.endswith(stem)] or [text for _, text in found]
    return f"${{{fitting[0]}}}" if len(dict.fromkeys(_resource(text) for text in fitting)) == 1 else value


def _resource(expression: str) -> str:
    return expression if ".outputs." in expression else expression.rpartition(".")[0]


def _references(plan: Mapping[str, Any]) -> References:
    found: dict[str, list[tuple[str, str]]] = {}
    root = plan.get("prior_state", {}).get("values", {}).get("root_module", {})
    for resource in root.get("resources", ()):
        for value, expression in _named(resource):
            found.setdefault(value, []).append((resource["type"], expression))
    return {value: tuple(those) for value, those in found.items()}


def _named(resource: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    values = resource.get("values") or {}
    prefix = "data." if resource.get("mode") == "data" else ""
    address = f"{prefix}{resource['type']}.{resource['name']}"
    if resource["type"] == REMOTE_STATE:
        for output, value in (values.get("outputs") or {}).items():
            yield str(value), f"{address}.outputs.{output}"
        return
    for attribute in NAMING:
        if isinstance(values.get(attribute), str | int):
            yield str(values[attribute]), f"{address}.{attribute}"
