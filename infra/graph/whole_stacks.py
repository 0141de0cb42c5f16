"""Whole stacks: that each is what its name says, and holds nothing but what Terraform of this repository needs.

What is compared: its place in the list of stacks, its sections, providers with their versions and hosts, its backend and
the states that it reads, outputs, preconditions on code, and that no module, import, provisioner or shell comes in.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from infra.config.naming import logical_id
from infra.config.stack_names import ACCOUNT, all_stacks, identity_of, is_branch, part_of
from infra.graph.estate import Estate, GraphResource, flat
from infra.graph.meanings import RuleContext, compared, meanings
from infra.terraform_cli.synthesized import SynthesizedStack, as_blocks

SECTIONS = frozenset({"//", "data", "moved", "output", "provider", "removed", "resource", "terraform"})
KEPT_WHEN_RETIRED = frozenset(
    {
        "databricks_schema", "databricks_volume", "databricks_registered_model", "databricks_mlflow_experiment",
        "databricks_secret_scope",
    }
)  # fmt: skip
"""What a retired use case or team leaves behind, unmanaged; forgetting anything else would take a control out of Terraform's
hands."""
META = frozenset({"count", "for_each", "provisioner", "connection"})
"""Arguments with which a resource is made any number of times, or runs a program where Terraform runs."""

EXACT = re.compile(r"\d+\.\d+\.\d+")
"""One version of a provider: with a range, what was reviewed is not what is applied."""

Found = Iterator[tuple[str, str]]


def stack_findings(estate: Estate, contexts: Mapping[str, RuleContext]) -> Found:
    """Yield stack and message of everything that contradicts a stack's name."""
    expected = all_stacks()
    renames = {
        logical_id(before): logical_id(after)
        for team in estate.settings.teams
        for before, after in pairwise((*team.renamed_from, team.name))
    }
    for missing in sorted(set(expected) - set(estate.stacks)):
        yield missing, "is not among the stacks: an environment without one of its stacks cannot be judged."
    yield from _same_versions(estate)
    for stack in estate.stacks.values():
        if stack.name not in expected and not is_branch(stack.name):
            yield stack.name, f"is no stack of this repository, which are {', '.join(expected)}."
            continue
        yield from _sections(stack, renames)
        yield from _stated(estate, stack, contexts)
        yield from _states(estate, stack, contexts)
        yield from _providers_of_resources(stack)


def _moved(stack: SynthesizedStack, renames: Mapping[str, str]) -> Found:
    """Yield moves that no renamed team explains: a move gives what is deployed, with its content, to another declaration."""
    for block in as_blocks(stack.content.get("moved")):
        former, present = str(block.get("from")), str(block.get("to"))
        expected = {
            former[: found.start()] + new + former[found.end() :]
            for old, new in renames.items()
            for found in re.finditer(re.escape(old), former)
        }
        if present not in expected:
            yield (
                stack.name,
                f"moves {former} to {present}: only what a renamed team has moves, by renamed_from in the settings; leave it out.",
            )


def _same_versions(estate: Estate) -> Found:
    """Yield stacks that require another version of a provider than the others: one of the two was not tested."""
    found: dict[str, Counter[str]] = {}
    for stack in estate.stacks.values():
        for name, required in stack.providers.items():
            found.setdefault(name, Counter())[str(required.get("version"))] += 1
    for stack in estate.stacks.values():
        for name, required in stack.providers.items():
            usual = found[name].most_common(1)[0][0]
            if str(required.get("version")) != usual:
                yield stack.name, f"requires {name} {required.get('version')}, the other stacks {usual}."


def _sections(stack: SynthesizedStack, renames: Mapping[str, str]) -> Found:
    for section in sorted(set(stack.content) - SECTIONS):
        yield (
            stack.name,
            f"has a section {section!r}: code, values and objects come from this repository alone; leave it out.",
        )
    known = ", ".join(sorted(KEPT_WHEN_RETIRED))
    for block in as_blocks(stack.content.get("removed")):
        address, destroyed = str(block.get("from")), [b.get("destroy") for b in as_blocks(block.get("lifecycle"))]
        kind, _, name = address.partition(".")
        if name in stack.content.get("resource", {}).get(kind, {}):
            yield stack.name, f"forgets {address} and declares it; a resource is either of the two."
        if kind not in KEPT_WHEN_RETIRED or destroyed != [False]:
            yield (
                stack.name,
                f"forgets {address}: only the data of a retired use case or team ({known}) is forgotten and stays; keep it declared.",
            )
    yield from _moved(stack, renames)
    for name, required in stack.content.get("terraform", {}).get("required_providers", {}).items():
        pinned = isinstance(required, Mapping) and set(required) == {"source", "version"}
        if not pinned or not EXACT.fullmatch(str(required.get("version"))):
            yield stack.name, f"requires the provider {name} as {required}; state its source and one exact version."
    for name in sorted(set(stack.content.get("terraform", {})) - {"required_providers", "backend"}):
        yield stack.name, f"has a block terraform.{name}, which the stacks of this repository do not; leave it out."
    for kind, name, arguments in stack.resources():
        for argument in sorted(META & set(arguments)):
            yield (
                f"{stack.name}/{kind}.{name}",
                f"states {argument}, with which nobody can say what is made; leave it out.",
            )


def _stated(estate: Estate, stack: SynthesizedStack, contexts: Mapping[str, RuleContext]) -> Found:
    """Compare outputs, providers and required providers with the table of the stack's kind."""
    kind = f"stack:{part_of(stack.name)}"
    values = tuple(_values(stack))
    as_resource = GraphResource(stack=stack.name, type=kind, name=stack.name, arguments={}, stated=values)
    context = contexts[as_resource.environment]
    for message in compared(estate, as_resource, meanings()[kind], values, context):
        yield stack.name, message


def _values(stack: SynthesizedStack) -> Iterator[tuple[str, Any]]:
    for name, output in stack.content.get("output", {}).items():
        yield f"output.{name}", output.get("value")
    for kind, configured in stack.content.get("provider", {}).items():
        yield from flat(configured, f"provider.{kind}")
    for name, required in stack.providers.items():
        yield f"required.{name}", f"{required.get('source')} {required.get('version')}"


def _states(estate: Estate, stack: SynthesizedStack, contexts: Mapping[str, RuleContext]) -> Found:
    kind, arguments = stack.backend
    stated = _state_of(estate, stack.name)
    if stated is None:
        expected: dict[str, Any] = {"path": f"../../../terraform.{stack.name}.tfstate"}
        if kind != "local" or set(arguments) != {"path"} or not _is_own_file(str(arguments["path"]), stack.name):
            yield stack.name, f"keeps its state in {kind} {dict(arguments)}, the settings say {expected['path']}."
    elif (
        kind != "azurerm"
        or {k: v for k, v in arguments.items() if k not in _HOW} != stated
        or arguments.get("use_azuread_auth") is not True
    ):
        yield stack.name, f"keeps its state in {kind} {_named(arguments)}, the settings say {stated}."
    for name, _, _ in stack.remote_states():
        owner = estate.owner_of_state(stack.name, name)
        if owner is None or owner.replace("-", "_") != name:
            yield (
                f"{stack.name}/data.terraform_remote_state.{name}",
                f"reads the state of {owner or 'no stack of these'}, and its name says {name.replace('_', '-')}.",
            )
        elif not _may_read(stack.name, owner, contexts):
            yield (
                f"{stack.name}/data.terraform_remote_state.{name}",
                f"{identity_of(stack.name)}'s identity reads the state of {owner}, and no setting opens either to the other.",
            )


def _is_own_file(path: str, stack: str) -> bool:
    """Return whether a local state lies above the stack's folder, under the stack's name."""
    return re.fullmatch(rf"(\.\./)*terraform\.{re.escape(stack)}\.tfstate", path) is not None


_HOW = frozenset({"use_azuread_auth", "use_oidc", "tenant_id", "use_cli"})
"""Arguments of a backend that say how its identity signs in, without a key."""


def _named(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: "(a secret)" if "key" in name and name != "key" else value for name, value in arguments.items()}


def _state_of(estate: Estate, stack: str) -> dict[str, str] | None:
    identity = identity_of(stack)
    settings = estate.settings
    stated = settings.account.state if identity == ACCOUNT else settings.environments[identity].state
    if stated is None:
        return None
    return {
        "subscription_id": stated.subscription_id,
        "resource_group_name": stated.resource_group,
        "storage_account_name": stated.storage_account,
        "container_name": stated.container,
        "key": f"{stack}.tfstate",
    }


def _may_read(reader: str, owner: str, contexts: Mapping[str, RuleContext]) -> bool:
    """Return whether a stack may read a state: the account's, its environment's, or a platform's of an opening."""
    if owner == ACCOUNT or reader.partition("-")[0] == owner.partition("-")[0]:
        return True
    here, there = reader.partition("-")[0], owner.partition("-")[0]
    context = contexts[here]
    return owner.endswith("-platform") and there in (*context.readers, *context.opened)


def _providers_of_resources(stack: SynthesizedStack) -> Found:
    known = {
        f"{kind}.{one.get('alias')}"
        for kind, configured in stack.content.get("provider", {}).items()
        for one in (configured if isinstance(configured, list) else [configured])
    }
    for kind, name, arguments in stack.resources():
        provider = arguments.get("provider")
        if provider not in known:
            yield (
                f"{stack.name}/{kind}.{name}",
                f"names the provider {provider!r}, and its stack has {', '.join(sorted(known)) or 'none'}.",
            )
        elif _level(stack, kind) not in (None, provider):
            yield f"{stack.name}/{kind}.{name}", f"is made by {provider}, must be made by {_level(stack, kind)}."


_IN_WORKSPACE = frozenset({"databricks_grant", "databricks_restrict_workspace_admins_setting"})


def _level(stack: SynthesizedStack, kind: str) -> str | None:
    """Return the one provider of a type in the account's part of an environment, which has two."""
    if not stack.name.endswith("-account") or not kind.startswith("databricks_"):
        return None
    return "databricks.workspace" if kind in _IN_WORKSPACE else "databricks.account"
