"""The classes of mutants, and a draw of mutants from a seed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmarks.mutants import computing, controls, documents, identities, networks, objects, rights
from benchmarks.mutants.operators import Operator
from benchmarks.mutants.world import NotApplicableError, World
from infra.terraform_cli.synthesized import SynthesizedStack

CLASSES: Mapping[str, list[Operator]] = {
    "foreign principal": rights.FOREIGN_PRINCIPAL,
    "principal without an environment's word": rights.WITHOUT_ENVIRONMENT,
    "everybody": rights.EVERYBODYS,
    "dangerous privilege": rights.DANGEROUS_PRIVILEGE,
    "metastore and account": identities.METASTORE_AND_ACCOUNT,
    "bindings": objects.BINDINGS,
    "identities": identities.IDENTITIES,
    "groups": rights.GROUPS,
    "Azure roles": identities.AZURE_ROLES,
    "permissions of objects": rights.OBJECT_PERMISSIONS,
    "secrets and keys": objects.SECRETS_AND_KEYS,
    "storage": objects.STORAGE,
    "network": networks.NETWORK,
    "serverless and DNS": networks.SERVERLESS_AND_DNS,
    "federation": identities.FEDERATION,
    "compute and jobs": computing.COMPUTE_AND_JOBS,
    "hardening": controls.HARDENING,
    "logs, locks, budget": controls.LOGS_LOCKS_BUDGET,
    "state and providers": controls.STATE_AND_PROVIDERS,
    "sharing and serving": computing.SHARING_AND_SERVING,
    "code": computing.CODE,
    "documents": documents.DOCUMENTS,
    "decisions of jobs": documents.DECISIONS,
    "Terraform itself": documents.TERRAFORM,
}
ATTEMPTS = 30


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """Stacks with one change.

    Attributes
    ----------
    seed
        Draws the same mutant again.
    harmful
        As its operator states it.
    """

    of: str
    name: str
    seed: str
    harmful: bool
    stacks: Mapping[str, SynthesizedStack]


def draw(stacks: Mapping[str, SynthesizedStack], of: str, seed: str, count: int) -> Iterator[Mutant]:
    """Yield mutants of one class: every operator in turn, in an order from the seed, until there are `count`."""
    order = World(stacks, f"{seed}/{of}").random.sample(CLASSES[of], len(CLASSES[of]))
    for number in range(count):
        yield _made(stacks, of, order[number % len(order)], f"{seed}/{of}/{number}")


def _made(stacks: Mapping[str, SynthesizedStack], of: str, operator: Operator, seed: str) -> Mutant:
    for attempt in range(ATTEMPTS):
        world = World(stacks, f"{seed}/{attempt}")
        try:
            operator.change(world)
        except NotApplicableError:
            continue
        return Mutant(
            of=of, name=operator.name, seed=f"{seed}/{attempt}", harmful=operator.harmful, stacks=world.stacks
        )
    raise NotApplicableError(f"{of}: {operator.name} fits no resource of these stacks")
