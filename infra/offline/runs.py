"""What the commands do with Terraform: plans of a whole environment, offline or with the real providers."""

from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.offline.stacks import SynthesizedStack, read_place, state_place
from infra.offline.terraform import Terraform, offline, with_real_providers

NOT_CHECKED = (
    "Offline: checked by Terraform against the providers' schemas, with made-up values for what a cloud would answer. "
    "Not checked: values that only a provider knows (enums, names, quotas), changes that force a replacement, what "
    "exists, what the credentials may do."
)


@dataclass(frozen=True, kw_only=True)
class Planned:
    """The plan of one stack: Terraform in whose folder it is kept, and its content as JSON."""

    terraform: Terraform
    content: Mapping[str, Any]


def plan_offline(
    stacks: Mapping[str, SynthesizedStack],
    folder: Path,
    *,
    only: Collection[str] | None = None,
    deploy: bool = False,
    cache: Path | None = None,
) -> dict[str, Planned]:
    """Plan stacks offline, each on what those before it would have given, and return the plans by stack.

    Parameters
    ----------
    stacks
        In their order, as `read_stacks` returns them.
    folder
        An empty folder for the run, or that of an earlier run whose states are to be compared with.
    only
        The stacks whose plan is wanted; the others are applied unseen, for what these read of them. None for all.
    deploy
        Whether to apply every plan; without, only what a later stack reads is applied.
    cache
        Folder of recovered schemas; None for the user's.
    """
    prepared = offline(stacks, folder, cache=cache)
    all_at_once(prepared.values(), lambda terraform: terraform.init())
    read = {read_place(backend, config) for stack in stacks.values() for _, backend, config in stack.remote_states()}
    plans = {}
    for name, terraform in prepared.items():
        if only is not None and name not in only:
            terraform.deploy()
            continue
        plans[name] = Planned(terraform=terraform, content=terraform.plan())
        if deploy or state_place(stacks[name]) in read:
            terraform.apply()
    return plans


def plan_really(stacks: Mapping[str, SynthesizedStack]) -> dict[str, Planned]:
    """Plan stacks with the real providers against their real states; nothing is applied."""
    plans = {}
    for name, stack in stacks.items():
        terraform = with_real_providers(stack)
        terraform.init()
        plans[name] = Planned(terraform=terraform, content=terraform.plan())
    return plans


def all_at_once(runs: Iterable[Terraform], step: Callable[[Terraform], Any]) -> list[Any]:
    """Do one step in every stack, several at a time, and return what each gave."""
    with ThreadPoolExecutor(max_workers=4) as pool:
        return list(pool.map(step, runs))
