"""Checks of the groups that the settings name: each exists, is one group of people, and is nobody else's."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from infra.config.loading import Mistake, Place, SettingsFile, near_miss
from infra.config.naming import logical_id, role_group, team_group
from infra.permissions.roles import Role
from pipelines.declarations.environment import ENVIRONMENTS
from pipelines.declarations.use_case import UseCase

Files = Mapping[str, SettingsFile]
EVERYBODY = frozenset({"account users", "admins", "users"})
"""Groups of Databricks itself, in lower case: everybody in the account, and everybody or the administrators in a workspace
(learn.microsoft.com/azure/databricks/admin/users-groups/groups)."""


def groups_exist(files: Files, _: Sequence[UseCase]) -> Iterator[Mistake]:
    """Every group that is named is listed in the account's file."""
    if "account" not in files:
        return
    known = [str(name) for name, _id in files["account"].items("entra_groups")]
    for file, place, group in _named(files):
        if isinstance(group, str) and group not in known:
            yield file.mistake(place, group, f"unknown group. {near_miss(group, known)}")


def _named(files: Files) -> list[tuple[SettingsFile, Place, Any]]:
    named: list[tuple[SettingsFile, Place, Any]] = [
        (files[name], ("roles", role, "groups", index), group)
        for name in ENVIRONMENTS
        if name in files
        for role, _holders in files[name].items("roles")
        for index, group in files[name].items("roles", role, "groups")
    ]
    if "teams" in files:
        teams = files["teams"]
        named.extend(
            (teams, ("teams", index, "members"), team.get("members"))
            for index, team in teams.items("teams")
            if isinstance(team, dict)
        )
    account = files["account"]
    named.extend(
        (account, place, account.get(*place))
        for place in (("metastore", "administrators"), ("azure_devops", "approvers"))
    )
    return named


def groups_are_of_the_company(files: Files, _: Sequence[UseCase]) -> Iterator[Mistake]:
    """No listed group is one of Databricks itself, which would be everybody, nor one that the stacks make."""
    if "account" not in files:
        return
    account = files["account"]
    made = _made(files)
    spelt: dict[str, str] = {}
    for name, _id in account.items("entra_groups"):
        text = str(name).strip().lower()
        place = ("entra_groups", name)
        if text in EVERYBODY:
            yield account.mistake(place, name, "is a group of Databricks itself; name a group of the company in Entra")
        elif text in made:
            yield account.mistake(place, name, f"is the name of the group of {made[text]}, which the stacks make")
        elif spelt.setdefault(logical_id(text), str(name)) != name:
            problem = f"differs from {spelt[logical_id(text)]!r} in capitals or punctuation alone; rename one of them"
            yield account.mistake(place, name, problem)


def _made(files: Files) -> dict[str, str]:
    """Return whose each group is that the stacks make."""
    organisation = str(files["account"].get("organisation") or "none")
    made = {
        role_group(organisation, environment, role): f"{role.value} in {environment}"
        for environment in ENVIRONMENTS
        for role in Role
    }
    teams = files["teams"].items("teams") if "teams" in files else ()
    names = [files["teams"].get("teams", index, "name") for index, _team in teams]
    return made | {team_group(organisation, name): f"team {name}" for name in names if isinstance(name, str) and name}


def nothing_is_listed_twice(files: Files, _: Sequence[UseCase]) -> Iterator[Mistake]:
    """No list of an environment names a group or an environment twice."""
    for environment in ENVIRONMENTS:
        if environment not in files:
            continue
        file = files[environment]
        lists: list[Place] = [("reads",), *(("roles", role, "groups") for role, _holders in file.items("roles"))]
        for place in lists:
            seen: set[str] = set()
            for index, one in file.items(*place):
                if str(one) in seen:
                    yield file.mistake((*place, index), one, "is listed twice; leave one of them out")
                seen.add(str(one))


def group_ids_are_unique(files: Files, _: Sequence[UseCase]) -> Iterator[Mistake]:
    """No two groups are the same group of Entra under two names."""
    first: dict[str, str] = {}
    for name, object_id in files["account"].items("entra_groups") if "account" in files else ():
        if isinstance(object_id, str) and first.setdefault(object_id, str(name)) != name:
            problem = f"is the object id of {first[object_id]} already; one of the two names is wrong"
            yield files["account"].mistake(("entra_groups", name), object_id, problem)


CHECKS = (groups_exist, groups_are_of_the_company, nothing_is_listed_twice, group_ids_are_unique)
