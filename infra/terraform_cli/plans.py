"""Plans of several stacks with the real providers, and one step for several stacks in parallel."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from infra.terraform_cli.driver import Terraform, with_real_providers
from infra.terraform_cli.interruption import signals_held
from infra.terraform_cli.synthesized import SynthesizedStack

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Planned:
    """The plan of one stack: the Terraform whose folder contains it, and its content as JSON."""

    terraform: Terraform
    content: Mapping[str, Any]


def plan_with_real_providers(stacks: Mapping[str, SynthesizedStack]) -> dict[str, Planned]:
    """Plan stacks with the real providers against their real states; nothing is applied."""
    plans = {}
    for name, stack in stacks.items():
        terraform = with_real_providers(stack)
        terraform.init()
        plans[name] = Planned(terraform=terraform, content=terraform.plan())
    return plans


def all_at_once(stacks: Iterable[Item], step: Callable[[Item], Result]) -> list[Result]:
    """Do one step for every stack, several in parallel, and return the results."""
    # Signals reach the main thread alone, and Terraform runs in sessions of its own: they are forwarded from here.
    with signals_held() as held:
        with ThreadPoolExecutor(max_workers=4) as pool:
            results = list(pool.map(step, stacks))
        held.raise_if_received()
    return results
