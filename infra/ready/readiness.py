"""Compares what an environment needs with what is there: a pure function, one answer per need."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from infra.devops.step import SetupStep
from infra.ready.held import Present
from infra.ready.wanted import Wanted

ADMINISTRATORS = ("Owner",)
"""Azure roles of a person who bootstraps: it creates the state's storage and gives the identities their roles."""
TOGETHER = ("Contributor", ("User Access Administrator", "Role Based Access Control Administrator"))
"""Roles that do it together."""
GIVE_GRAPH_ROLES = frozenset({"Privileged Role Administrator", "Global Administrator"})
"""Roles in Entra of a person who gives an application roles of Microsoft Graph.

Source: https://learn.microsoft.com/en-us/entra/identity/enterprise-apps/grant-admin-consent
"""
ALL_CORES = "cores"
"""The quota of a region over all families."""


class Readiness(StrEnum):
    """Whether a need is met."""

    READY = "ready"
    MISSING = "missing"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One need, whether it is met, and what to do if it is not."""

    need: str
    standing: Readiness
    found: str
    remedy: str = ""


def readiness(wanted: Wanted, held: Present, steps: Sequence[SetupStep]) -> tuple[Answer, ...]:
    """Return an answer for every need.

    Parameters
    ----------
    steps
        What Azure DevOps and the identities of the pipelines lack, as `infra.devops.plan_changes` returns it.
    """
    return (
        *_signed_in(wanted, held),
        *_in_entra(held, steps),
        *_registered(wanted, held),
        *_names(wanted, held),
        *_machines(wanted, held),
        *_budget(wanted, held),
        *_metastore(wanted, held),
        *_approvals(wanted, held),
        *_paths(wanted, held),
        *_pipelines(steps),
    )


def _signed_in(wanted: Wanted, held: Present) -> Iterator[Answer]:
    same = held.tenant_id.lower() == wanted.tenant_id.lower()
    yield Answer(
        need=f"a session in the tenant {wanted.tenant_id}",
        standing=Readiness.READY if same else Readiness.MISSING,
        found=f"{held.user} is signed in to {held.tenant_id}",
        remedy="" if same else f"az login --tenant {wanted.tenant_id}",
    )
    need = f"roles of {held.user} on subscription {wanted.subscription_id}, to create the state and to give roles"
    if "roles" in held.unknown:
        yield _unknown(need, held.unknown["roles"])
        return
    first, others = TOGETHER
    enough = bool(held.roles & {*ADMINISTRATORS}) or (first in held.roles and bool(held.roles & {*others}))
    yield Answer(
        need=need,
        standing=Readiness.READY if enough else Readiness.MISSING,
        found=", ".join(sorted(held.roles)) or "no role",
        remedy="" if enough else f"have an Owner of the subscription give Owner, or {first} and {others[0]}",
    )


def _in_entra(held: Present, steps: Sequence[SetupStep]) -> Iterator[Answer]:
    """Yield whether the person may give the roles of Microsoft Graph that are still to be given; nothing once they are."""
    if not any("Microsoft Graph" in step.what for step in steps):
        return
    need = f"a role of {held.user} in Entra, to give roles of Microsoft Graph"
    if "directory_roles" in held.unknown:
        yield _unknown(need, held.unknown["directory_roles"])
        return
    enough = bool(held.directory_roles & GIVE_GRAPH_ROLES)
    yield Answer(
        need=need,
        standing=Readiness.READY if enough else Readiness.MISSING,
        found=", ".join(sorted(held.directory_roles)) or "no role",
        remedy=""
        if enough
        else "have the identity team make you Privileged Role Administrator, or do that step of devops",
    )


def _registered(wanted: Wanted, held: Present) -> Iterator[Answer]:
    for namespace in wanted.namespaces:
        need = f"the resource provider {namespace}"
        if "registered" in held.unknown:
            yield _unknown(need, held.unknown["registered"])
            continue
        there = namespace in held.registered
        yield Answer(
            need=need,
            standing=Readiness.READY if there else Readiness.MISSING,
            found="registered" if there else "not registered",
            remedy=""
            if there
            else f"az provider register --namespace {namespace} --subscription {wanted.subscription_id}",
        )


def _names(wanted: Wanted, held: Present) -> Iterator[Answer]:
    for one in wanted.names:
        need = f"the name {one.name} of a {one.kind}"
        if "taken" in held.unknown:
            yield _unknown(need, held.unknown["taken"])
        elif held.taken.get(one.name) is False:
            yield Answer(
                need=need,
                standing=Readiness.MISSING,
                found="somebody else has it, or it was deleted and can still be recovered",
                remedy=f"choose another state.storage_account in {wanted.environment}.yaml"
                if one.name == wanted.state
                else "choose another organisation in account.yaml, or recover what has the name and import it",
            )
        else:
            yield Answer(need=need, standing=Readiness.READY, found="ours" if one.name in held.taken else "free")


def _budget(wanted: Wanted, held: Present) -> Iterator[Answer]:
    """Yield whether the budget may begin in its month: Azure creates none that begins earlier than now, or in more than a year.

    Source: https://github.com/hashicorp/terraform-provider-azurerm/pull/12121. It is in the stack of the vault.
    """
    need = f"a budget that begins in {wanted.first_month}"
    if "taken" in held.unknown:
        yield _unknown(need, held.unknown["taken"])
        return
    year, month = held.month.split("-")
    if held.taken.get(wanted.vault):
        yield Answer(need=need, standing=Readiness.READY, found="created with the platform")
    elif held.month <= wanted.first_month <= f"{int(year) + 1}-{month}":
        yield Answer(need=need, standing=Readiness.READY, found=f"now is {held.month}")
    else:
        yield Answer(
            need=need,
            standing=Readiness.MISSING,
            found=f"now is {held.month}, and Azure creates no budget that begins earlier, or in more than a year",
            remedy=f"state budget.first_month: {held.month} in {wanted.environment}.yaml",
        )


def _machines(wanted: Wanted, held: Present) -> Iterator[Answer]:
    """Yield whether each type of machine can be had, and enough cores of each family for all of its types at once."""
    cores: Counter[str] = Counter()
    for name, count in wanted.machines.items():
        need = f"{count} machines {name} in {wanted.region}"
        if "machines" in held.unknown:
            yield _unknown(need, held.unknown["machines"])
            continue
        machine = held.machines.get(name)
        if machine is None or machine.restriction:
            found = "not offered in this region" if machine is None else f"restricted: {machine.restriction}"
            yield Answer(
                need=need, standing=Readiness.MISSING, found=found,
                remedy=f"name another node_type in {wanted.environment}.yaml, or ask Azure support for access",
            )  # fmt: skip
            continue
        yield Answer(need=need, standing=Readiness.READY, found=f"offered, of {machine.family}")
        cores += Counter({machine.family: count * machine.cores, ALL_CORES: count * machine.cores})
    for family, number in cores.items():
        of = "all families" if family == ALL_CORES else family
        yield _cores(f"{number} cores of {of} in {wanted.region}", family, number, held)


def _cores(need: str, family: str, cores: int, held: Present) -> Answer:
    if "quotas" in held.unknown:
        return _unknown(need, held.unknown["quotas"])
    quota = held.quotas.get(family.lower())
    if quota is None:
        return Answer(
            need=need,
            standing=Readiness.UNKNOWN,
            found="no quota of that name",
            remedy="see Quotas in the Azure portal",
        )
    free = quota.limit - quota.used
    return Answer(
        need=need,
        standing=Readiness.READY if free >= cores else Readiness.MISSING,
        found=f"{free} of {quota.limit} are free",
        remedy="" if free >= cores else "request a higher quota (Quotas in the Azure portal), or state smaller sizes",
    )


def _metastore(wanted: Wanted, held: Present) -> Iterator[Answer]:
    """Yield whether the region's one metastore is the one that the settings mean.

    Source: https://learn.microsoft.com/en-us/azure/databricks/data-governance/unity-catalog/create-metastore
    """
    need = f"the one metastore of {wanted.metastore_region}, and an account admin to ask for it"
    if "metastores" in held.unknown:
        yield _unknown(need, held.unknown["metastores"])
        return
    others = {identifier: name for identifier, name in held.metastores.items() if identifier != wanted.metastore_id}
    known = ", ".join(f"{name} ({identifier})" for identifier, name in held.metastores.items()) or "none"
    if wanted.metastore_id is not None:
        there = wanted.metastore_id in held.metastores
        yield Answer(
            need=need,
            standing=Readiness.READY if there else Readiness.MISSING,
            found=known,
            remedy="" if there else f"metastore.id in account.yaml is {wanted.metastore_id}: name one that exists",
        )
        return
    yield Answer(
        need=need,
        standing=Readiness.UNKNOWN if others else Readiness.READY,
        found=known,
        remedy=""
        if not others
        else "if the account stack has not created it, name it as metastore.id in account.yaml: a region has only one",
    )


def _approvals(wanted: Wanted, held: Present) -> Iterator[Answer]:
    need = f"approved private endpoints of the storage {' and '.join(wanted.approving)}"
    if "pending" in held.unknown:
        yield _unknown(need, held.unknown["pending"])
    for connection in held.pending:
        yield Answer(
            need=need,
            standing=Readiness.MISSING,
            found=f"{connection.rpartition('/')[2]} waits",
            remedy=f"az network private-endpoint-connection approve --id {connection}",
        )
    if not held.pending and "pending" not in held.unknown:
        yield Answer(need=need, standing=Readiness.READY, found="none waits")


def _paths(wanted: Wanted, held: Present) -> Iterator[Answer]:
    if "paths" in held.unknown:
        yield _unknown("a way from this machine to the workspace and the vault", held.unknown["paths"])
    elif not {*held.paths} - {wanted.state_host}:
        yield Answer(
            need="a way from this machine to the workspace and the vault",
            standing=Readiness.UNKNOWN,
            found="neither exists yet",
            remedy=f"run this again after {wanted.environment}-platform is applied",
        )
    for host, wrong in held.paths.items():
        yield Answer(
            need=f"a way from this machine to {host}",
            standing=Readiness.MISSING if wrong else Readiness.READY,
            found=wrong or "port 443 answers",
            remedy=_way(wanted, host) if wrong else "",
        )


def _way(wanted: Wanted, host: str) -> str:
    if host == wanted.state_host:
        return f"name the range of this machine in state.allowed_ip_ranges of {wanted.environment}.yaml, or its endpoint_subnet"
    return "run this where the environment's network and its private DNS zones are reached"


def _pipelines(steps: Sequence[SetupStep]) -> Iterator[Answer]:
    """Yield what the identities and the pipelines lack: rights, service connections, approvals."""
    for step in steps:
        yield Answer(
            need=step.what,
            standing=Readiness.MISSING,
            found=step.reason,
            remedy=f"waits for {step.waits_for}"
            if step.waits_for
            else ("python -m infra devops --apply" if step.command else "a person does it"),
        )
    if not steps:
        yield Answer(
            need="identities, rights, service connections and approvals of the pipelines",
            standing=Readiness.READY,
            found="as wanted",
        )


def _unknown(need: str, error: str) -> Answer:
    return Answer(need=need, standing=Readiness.UNKNOWN, found=error, remedy="sign in as somebody who may look")
