"""Checks on isolation that read one resource at a time; `isolation_proof` checks the environments as a whole."""

from collections.abc import Iterator

from infra.checks.access_paths import ISOLATED
from infra.checks.finding import PolicyCheck, Stacks
from infra.checks.reading import SynthesizedResource, referenced, resources
from infra.config.stack_names import environment_of


def _modes(stacks: Stacks) -> Iterator[tuple[str, str]]:
    for securable in resources(stacks, *ISOLATED):
        got, needed = securable.arguments.get("isolation_mode"), ISOLATED[securable.type]
        if got != needed:
            yield securable.where, f"isolation_mode is {got!r}, must be {needed!r}."


def _binding_types(stacks: Stacks) -> Iterator[tuple[str, str]]:
    for binding in resources(stacks, "databricks_workspace_binding", "databricks_catalog_workspace_binding"):
        if binding.arguments.get("binding_type") != "BINDING_TYPE_READ_ONLY":
            yield binding.where, "opens a securable for writing to another workspace; bind it read-only."
        if binding.arguments.get("securable_type", "catalog") != "catalog":
            yield binding.where, "opens a credential or location to another workspace; only catalogs may be opened."
        if _own_workspace(stacks, binding):
            yield (
                binding.where,
                "binds a catalog to its own workspace, to which it is bound already: it could not be destroyed.",
            )


def _own_workspace(stacks: Stacks, binding: SynthesizedResource) -> bool:
    workspaces = referenced(stacks, binding.stack, binding.arguments.get("workspace_id"))
    return bool(workspaces) and {environment_of(n.split("/")[0]) for n in workspaces} == {binding.environment}


def _providers(stacks: Stacks) -> Iterator[tuple[str, str]]:
    for resource in resources(stacks):
        if resource.type.startswith("databricks_") and not resource.arguments.get("provider"):
            yield resource.where, "states no provider; Terraform would take one from environment variables."


CHECKS = (
    PolicyCheck(
        id="securables-are-isolated",
        reason="a metastore is shared: what is not isolated is seen from every environment",
        look=_modes,
    ),
    PolicyCheck(
        id="bindings-only-read", reason="an opening lets another environment read, not write", look=_binding_types
    ),
    PolicyCheck(
        id="provider-is-explicit",
        reason="a resource without a provider is created in whatever workspace the shell points to",
        look=_providers,
    ),
)
