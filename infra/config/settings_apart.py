"""Checks of what keeps environments apart: subscriptions, address ranges, existing networks, hubs, the storage of states."""

import ipaddress
import itertools
from collections.abc import Iterator, Mapping, Sequence

from infra.config.loading import Mistake, Place, SettingsFile
from infra.config.network import DNS_ZONES, MONITOR_ZONES
from infra.config.stack_names import ACCOUNT
from pipelines.declarations.environment import ENVIRONMENTS
from pipelines.declarations.use_case import UseCase

Files = Mapping[str, SettingsFile]
RELEASED = tuple(ENVIRONMENTS)[-1]
"""The environment whose identity acts for released code alone, which the approvers of the account approve as well."""


def ranges_are_disjoint(files: Files, _: Sequence[UseCase]) -> Iterator[Mistake]:
    """No two environments share addresses."""
    for (first, _file, here), (_second, file, there) in itertools.combinations(_ranges(files), 2):
        if here.overlaps(there):
            problem = f"overlaps {here} of {first}; each environment needs a range of its own"
            yield file.mistake(("network", "address_space"), str(there), problem)


def addresses_of_a_hub_are_in_the_hub(files: Files, _: Sequence[UseCase]) -> Iterator[Mistake]:
    """No resolver and no firewall is in an environment's range: all traffic of one would go through another, or nowhere."""
    ranges = _ranges(files)
    for name, file in _environments(files):
        places: list[Place] = [("network", "hub", "egress_firewall")]
        places += [("network", "hub", "dns_servers", index) for index, _ in file.items("network", "hub", "dns_servers")]
        for place in places:
            stated = file.get(*place)
            owner = next((owner for owner, _file, whole in ranges if _is_within(stated, whole)), None)
            if owner is not None:
                whose = "this environment, where it stands nowhere" if owner == name else owner
                yield file.mistake(place, stated, f"is an address of {whose}; name one of the hub")


def subscriptions_differ(files: Files, _: Sequence[UseCase]) -> Iterator[Mistake]:
    """Each environment has a subscription of its own."""
    owner: dict[str, str] = {}
    for name, file in _environments(files):
        subscription = file.get("subscription_id")
        if isinstance(subscription, str) and owner.setdefault(subscription, name) != name:
            problem = f"is the subscription of {owner[subscription]} already; each environment has its own"
            yield file.mistake(("subscription_id",), subscription, problem)


def existing_networks_are_of_no_other_environment(files: Files, _: Sequence[UseCase]) -> Iterator[Mistake]:
    """Nothing of another environment's subscription is named: it would connect the two."""
    owner = _owners(files)
    for name, file in _environments(files):
        places: list[Place] = [("network", "hub", "network"), ("state", "endpoint_subnet"), ("state", "blob_zone")]
        places += [("network", "private_dns_zones", service) for service in (*DNS_ZONES, *MONITOR_ZONES)]
        for place in places:
            stated = str(file.get(*place) or "")
            found = owner.get(stated.removeprefix("/subscriptions/").partition("/")[0], name)
            if found != name:
                problem = f"is in the subscription of {found}; name a network that the environments share, or none"
                yield file.mistake(place, stated, problem)


def states_are_apart(files: Files, _: Sequence[UseCase]) -> Iterator[Mistake]:
    """Each identity keeps its states in a storage account of its own: who may write one container may write all of it."""
    first: dict[str, str] = {}
    for name in (ACCOUNT, *ENVIRONMENTS):
        account = files[name].get("state", "storage_account") if name in files else None
        if isinstance(account, str) and first.setdefault(account, name) != name:
            problem = (
                f"holds the state of {first[account]} already; each identity writes to a storage account of its own"
            )
            yield files[name].mistake(("state", "storage_account"), account, problem)


def states_are_in_no_other_subscription(files: Files, _: Sequence[UseCase]) -> Iterator[Mistake]:
    """No state is where another environment's identity is Contributor.

    A Contributor switches a storage account's keys on again and lists them, and whoever writes a state decides what is deployed:
    https://learn.microsoft.com/azure/storage/common/shared-key-authorization-prevent. Dev's identity runs the code of pull requests.
    """
    owner = _owners(files)
    for name in (ACCOUNT, *ENVIRONMENTS):
        stated = files[name].get("state", "subscription_id") if name in files else None
        found = owner.get(str(stated), name)
        if found != name and not (name == ACCOUNT and found == RELEASED):
            other = f"one that no environment has, or that of {RELEASED}" if name == ACCOUNT else f"that of {name}"
            problem = f"is the subscription of {found}, whose identity could rewrite the state of {name}; name {other}"
            yield files[name].mistake(("state", "subscription_id"), stated, problem)


def _environments(files: Files) -> list[tuple[str, SettingsFile]]:
    return [(name, files[name]) for name in ENVIRONMENTS if name in files]


def _owners(files: Files) -> Mapping[str, str]:
    """Return the environment of each subscription."""
    stated = {name: file.get("subscription_id") for name, file in _environments(files)}
    return {subscription: name for name, subscription in stated.items() if isinstance(subscription, str)}


def _ranges(files: Files) -> list[tuple[str, SettingsFile, ipaddress.IPv4Network]]:
    """Return the range of each environment; the model reports what is none."""
    found = []
    for name, file in _environments(files):
        try:
            found.append((name, file, ipaddress.IPv4Network(str(file.get("network", "address_space")))))
        except ValueError:
            continue
    return found


def _is_within(address: object, whole: ipaddress.IPv4Network) -> bool:
    try:
        return ipaddress.IPv4Address(str(address)) in whole
    except ValueError:
        return False  # the model reports it, with its line


CHECKS = (
    ranges_are_disjoint,
    addresses_of_a_hub_are_in_the_hub,
    subscriptions_differ,
    existing_networks_are_of_no_other_environment,
    states_are_apart,
    states_are_in_no_other_subscription,
)
