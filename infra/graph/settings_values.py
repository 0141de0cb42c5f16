"""The values of settings that a rule of `infra/graph/types` names with ``$``: everything that a value may be."""

import ipaddress
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from infra.config.loading import Settings
from infra.config.model import EnvironmentSettings, Schedules
from infra.config.network import Exposure
from infra.permissions.roles import Role


def allowed(settings: Settings, environment: str, path: str) -> frozenset[str]:
    """Return the texts of all values that the settings allow under a name; empty if they state nothing there."""
    root, _, rest = path.partition(".")
    if root == "account":
        return _texts(_at(settings.account, rest))
    if path in _OVER_ALL:
        return _texts(_OVER_ALL[path](settings))
    stated = settings.environments.get(environment)
    if stated is None:
        return frozenset()
    return _texts(_DERIVED[path](stated) if path in _DERIVED else _at(stated, path))


def _texts(value: Any) -> frozenset[str]:
    return frozenset(text_of(one) for one in _each(value))


def _each(value: Any) -> Iterator[Any]:
    if isinstance(value, BaseModel):
        yield from _each(value.model_dump())
    elif isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, list | tuple | set | frozenset):
        for one in value:
            yield from _each(one)
    elif value is not None:
        yield value


def text_of(value: Any) -> str:
    """Return a value as rules and stacks are compared: words of Terraform for true and false, numbers without ``.0``."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _at(value: Any, path: str) -> Any:
    for step in path.split(".") if path else ():
        value = value.get(step) if isinstance(value, Mapping) else getattr(value, step, None)
        if isinstance(value, Mapping) and step == "entra_groups":
            return list(value)
    return value


def _workers(stated: EnvironmentSettings) -> list[int]:
    return sorted({n for size in stated.compute.sizes.values() for n in (size.workers_minimum, size.workers_maximum)})


def _subnets(stated: EnvironmentSettings) -> list[str]:
    host, container, rest, _ = ipaddress.IPv4Network(stated.network.address_space).subnets(prefixlen_diff=2)
    return [str(one) for one in (host, container, *rest.subnets(prefixlen_diff=1))]


def _pause(stated: EnvironmentSettings) -> str:
    return "UNPAUSED" if stated.jobs.schedules is Schedules.RUNNING else "PAUSED"


def _release(stated: EnvironmentSettings) -> str:
    return stated.compute.runtime.replace("-cpu-ml-", "-").replace("-gpu-ml-", "-")


def _public(stated: EnvironmentSettings) -> bool:
    return stated.network.exposure is Exposure.PUBLIC


def _query_access(stated: EnvironmentSettings) -> str:
    return "Open" if _public(stated) else "PrivateOnly"


def _internet_ingestion(stated: EnvironmentSettings) -> bool:
    return _public(stated) and stated.telemetry is not None and not stated.telemetry.private_link


def _is_replicated(stated: EnvironmentSettings) -> bool:
    store = stated.serving.online_store if stated.serving else None
    return store is not None and store.read_replicas > 0


_DERIVED: Mapping[str, Callable[[EnvironmentSettings], Any]] = {
    "compute.workers": _workers,
    "compute.machines": lambda s: [size.node_type for size in s.compute.sizes.values()],
    "compute.release": _release,
    "compute.cluster_type": lambda s: ["job", "all-purpose"] if s.compute.interactive_cluster else "job",
    "jobs.pause": _pause,
    "network.public": _public,
    "network.listed": _public,
    "network.rules_required": lambda s: "AllRules" if _public(s) else "NoAzureDatabricksRules",
    "network.subnets": _subnets,
    "subscription.path": lambda s: f"/subscriptions/{s.subscription_id}",
    "online_store.stated": lambda s: s.serving is not None and s.serving.online_store is not None,
    "online_store.replicated": _is_replicated,
    "telemetry.stated": lambda s: s.telemetry is not None,
    "telemetry.query_access": _query_access,
    "telemetry.internet_query": _public,
    "telemetry.internet_ingestion": _internet_ingestion,
}
_OVER_ALL: Mapping[str, Callable[[Settings], Any]] = {
    "notified": lambda s: [one for e in s.environments.values() for one in e.budget.notify],
    "budgets": lambda s: [*(e.budget.monthly for e in s.environments.values()), *(t.monthly_budget for t in s.teams)],
}


def administrators(settings: Settings) -> str:
    """Return the group that owns the metastore; empty for a metastore that exists already."""
    return settings.account.metastore.administrators or ""


def groups_of_roles(settings: Settings) -> Iterator[tuple[str, Role, tuple[str, ...]]]:
    """Yield environment, role and the Entra groups that hold it."""
    for environment, stated in settings.environments.items():
        for role, held in stated.roles.items():
            yield environment, role, held.groups
