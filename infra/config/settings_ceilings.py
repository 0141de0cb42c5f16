"""Checks that the settings stay below the ceilings of `infra/ceilings.yaml`, before anything is synthesized."""

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from infra.config.ceilings import TEAM, ceilings
from infra.config.loading import Mistake, Place, SettingsFile
from infra.permissions.roles import Access, Role
from pipelines.declarations.environment import ENVIRONMENTS
from pipelines.declarations.use_case import UseCase

Files = Mapping[str, SettingsFile]
OWNER = "raise the ceiling in infra/ceilings.yaml, with whoever owns it, or lower the value"


def stated_values_are_below(files: Files, _: Sequence[UseCase]) -> Iterator[Mistake]:
    """Every value of an environment is one that its ceilings allow."""
    held_to = ceilings()
    for name in ENVIRONMENTS:
        if name not in files:
            continue
        rules = {**held_to.settings.get("any", {}), **held_to.settings.get(name, {})}
        for path, rule in rules.items():
            for place, value in _values(files[name], path):
                if not _fits(rule, value):
                    yield files[name].mistake(place, value, f"is above its ceiling in {name}, {_shown(rule)}: {OWNER}")


def _values(file: SettingsFile, path: str) -> Iterator[tuple[Place, Any]]:
    """Yield every place and value at a dotted path, lists one by one; a place that is not there is None."""
    places: list[Place] = [()]
    for step in path.split("."):
        places = [
            (*place, inner)
            for place in places
            for inner in ([key for key, _ in file.items(*place)] if step == "*" else [step])
        ]
    for place in places:
        value = file.get(*place)
        if isinstance(value, list):
            yield from (((*place, index), one) for index, one in enumerate(value))
        else:
            yield place, value


def _fits(rule: Any, value: Any) -> bool:
    if value is None:
        return True  # what is left out takes its default, which is the strictest
    if isinstance(rule, Mapping):
        return _within(rule, value)
    words = [str(one).lower() if isinstance(one, bool) else str(one) for one in rule]
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return any(fnmatchcase(text, word) for word in words)


def _within(rule: Mapping[str, Any], value: Any) -> bool:
    if "narrower_than" in rule:
        try:
            return ipaddress.ip_network(str(value)).prefixlen >= int(rule["narrower_than"])
        except ValueError:
            return True  # the model reports it, with its line
    if "newer_than" in rule:
        found = re.match(r"\d+", str(value))
        return found is None or int(found[0]) >= int(rule["newer_than"])
    return not isinstance(value, int | float) or bool(rule.get("min", value) <= value <= rule.get("max", value))


def _shown(rule: Any) -> str:
    if isinstance(rule, Mapping):
        return ", ".join(f"{word.replace('_', ' ')} {bound}" for word, bound in rule.items())
    return " or ".join(str(one).lower() if isinstance(one, bool) else str(one) for one in rule)


def levels_are_below(files: Files, _: Sequence[UseCase]) -> Iterator[Mistake]:
    """Every role, and the teams, have a level that their ceiling allows in the environment."""
    held_to = ceilings()
    for name in ENVIRONMENTS:
        if name not in files:
            continue
        file = files[name]
        stated: list[tuple[str, Place]] = [(role.value, ("roles", role.value, "access")) for role in Role]
        for holder, place in [*stated, (TEAM, ("team_access",))]:
            level = file.get(*place)
            allowed = held_to.people.get(name, {}).get(holder, ())
            if level in set(Access) and level not in allowed:
                may = ", ".join(one.value for one in allowed)
                yield file.mistake(place, level, f"is above the ceiling of {holder} in {name}, which is {may}: {OWNER}")


def administrators_are_of_the_platform(files: Files, _: Sequence[UseCase]) -> Iterator[Mistake]:
    """Nobody of a data team, no ML engineer or data scientist administers, approves or owns the metastore."""
    others: dict[str, str] = {}
    for name in ENVIRONMENTS:
        for role in (Role.ML_ENGINEER, Role.DATA_SCIENTIST):
            for _index, group in files[name].items("roles", role.value, "groups") if name in files else ():
                others[str(group)] = f"{role.value} in {name}"
    for index, _team in files["teams"].items("teams") if "teams" in files else ():
        others[str(files["teams"].get("teams", index, "members"))] = "the members of a team"
    places: list[tuple[SettingsFile, Place]] = [
        (files[name], ("roles", Role.PLATFORM_ENGINEER.value, "groups", index))
        for name in ENVIRONMENTS
        if name in files
        for index, _group in files[name].items("roles", Role.PLATFORM_ENGINEER.value, "groups")
    ]
    if "account" in files:
        places += [
            (files["account"], place) for place in (("metastore", "administrators"), ("azure_devops", "approvers"))
        ]
    for file, place in places:
        group = file.get(*place)
        if isinstance(group, str) and group in others:
            yield file.mistake(place, group, f"is also {others[group]}; name a group of the platform's people alone")


def federation_is_of_the_own_organisation(files: Files, _: Sequence[UseCase]) -> Iterator[Mistake]:
    """Each service connection's token comes from Azure DevOps or from the own tenant, and is of that connection alone."""
    if "account" not in files:
        return
    file = files["account"]
    devops, tenant = ("azure_devops",), file.get("entra_tenant_id")
    organisation, project = file.get(*devops, "organisation"), file.get(*devops, "project")
    issuers = (
        f"https://vstoken.dev.azure.com/{file.get(*devops, 'organisation_id')}",
        f"https://login.microsoftonline.com/{tenant}/v2.0",
    )
    seen: dict[str, str] = {}
    for connection, _stated in file.items(*devops, "federation"):
        place = (*devops, "federation", connection)
        issuer, subject = file.get(*place, "issuer"), str(file.get(*place, "subject"))
        if issuer not in issuers:
            yield file.mistake((*place, "issuer"), issuer, f"must be {' or '.join(issuers)}")
        own = f"sc://{organisation}/{project}/"
        if "*" in subject or not (subject.startswith("/eid1/") or subject == f"{own}lakehouse-{connection}"):
            problem = f"must be {own}lakehouse-{connection}, or the subject with /eid1/ that Azure DevOps shows for it"
            yield file.mistake((*place, "subject"), subject, problem)
        elif seen.setdefault(subject, str(connection)) != connection:
            yield file.mistake((*place, "subject"), subject, f"is the subject of {seen[subject]} already")


CHECKS = (
    stated_values_are_below,
    levels_are_below,
    administrators_are_of_the_platform,
    federation_is_of_the_own_organisation,
)
