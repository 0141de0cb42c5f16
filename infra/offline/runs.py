"""Offline plans of whole environments: each stack is planned with the made-up outputs of the stacks before it."""

from collections.abc import Collection, Mapping
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from infra.offline.terraform import offline
from infra.terraform_cli.plans import Planned, all_at_once
from infra.terraform_cli.synthesized import SynthesizedStack, dependencies

NOT_CHECKED = (
    "Offline: checked by Terraform against the providers' schemas, with made-up values for what a cloud would answer. "
    "Not checked: values that only a provider knows (enums, names, quotas), changes that force a replacement, what "
    "exists, what the credentials may do."
)


def plan_offline(
    stacks: Mapping[str, SynthesizedStack],
    folder: Path,
    *,
    only: Collection[str] | None = None,
    deploy: bool = False,
    cache: Path | None = None,
) -> dict[str, Planned]:
    """Plan stacks offline, each with the made-up outputs of the stacks before it, and return the plans by stack.

    Parameters
    ----------
    stacks
        In their order, as `read_stacks` returns them.
    folder
        An empty folder for the run, or the folder of an earlier run, with whose states the plans are compared.
    only
        The stacks whose plans are returned; the others are applied, because these read their outputs. None for all.
    deploy
        Whether to apply every plan; otherwise only the stacks that a later stack reads are applied.
    cache
        Folder of recovered schemas; None for the user's.
    """
    prepared = offline(stacks, folder, cache=cache)
    all_at_once(prepared.values(), lambda terraform: terraform.init())
    before = dependencies(stacks)
    read = {name for names in before.values() for name in names}

    def take(name: str) -> Mapping[str, Any] | None:
        terraform = prepared[name]
        if only is not None and name not in only:
            terraform.deploy()
            return None
        content = terraform.plan()
        if deploy or name in read:
            terraform.apply()
        return content

    contents: dict[str, Mapping[str, Any] | None] = {}
    order = TopologicalSorter(before)
    order.prepare()
    while order.is_active():
        ready = order.get_ready()
        contents |= zip(ready, all_at_once(ready, take), strict=True)
        order.done(*ready)
    found = {name: contents[name] for name in stacks}
    return {name: Planned(terraform=prepared[name], content=plan) for name, plan in found.items() if plan is not None}
