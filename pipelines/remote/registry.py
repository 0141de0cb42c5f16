"""The registered models of an environment in Unity Catalog: their versions and aliases, read, and put back.

What is in a model is MLflow's; nothing here loads one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from databricks.sdk.service.catalog import ModelVersionInfoStatus

from pipelines.declarations.asset import Model
from pipelines.remote.connection import Remote


@dataclass(frozen=True, kw_only=True)
class RegisteredVersions:
    """What the registry holds of one model.

    Attributes
    ----------
    aliases
        Alias to version number.
    numbers
        Every version, oldest first.
    """

    name: str
    aliases: Mapping[str, int]
    numbers: tuple[int, ...]


def registered(remote: Remote, model: Model) -> RegisteredVersions | None:
    """Return the versions and aliases of a model; None if it is not registered.

    Raises
    ------
    RemoteError
        If the workspace cannot be asked.
    """
    name, client = remote.name(model.address), remote.client
    found = remote.find(f"look for the model {name}", lambda: client.registered_models.get(name, include_aliases=True))
    if found is None:
        return None
    versions = remote.ask(f"list the versions of {name}", lambda: list(client.model_versions.list(name)))
    return RegisteredVersions(
        name=name,
        aliases=MappingProxyType({one.alias_name or "": one.version_num or 0 for one in found.aliases or ()}),
        numbers=tuple(sorted(one.version for one in versions if one.version is not None)),
    )


def is_ready(remote: Remote, name: str, number: int) -> bool:
    """Return whether a version is there and can be loaded."""
    found = remote.find(f"look at version {number} of {name}", lambda: remote.client.model_versions.get(name, number))
    return found is not None and found.status is ModelVersionInfoStatus.READY


def put_aliases_back(remote: Remote, before: RegisteredVersions, now: RegisteredVersions) -> tuple[str, ...]:
    """Point every alias to where it pointed before, remove those that there were not, and return what was done."""
    done, models, name = [], remote.client.registered_models, before.name
    for alias, number in sorted(before.aliases.items()):
        if now.aliases.get(alias) != number:
            remote.ask(f"set the alias {alias}", lambda a=alias, n=number: models.set_alias(name, a, n))  # type: ignore[misc] # mypy cannot type a lambda's default
            done.append(f"alias {alias} of {name} names version {number} again")
    for alias in sorted(set(now.aliases) - set(before.aliases)):
        remote.find(f"remove the alias {alias}", lambda a=alias: models.delete_alias(name, a))  # type: ignore[misc] # as above
        done.append(f"alias {alias} of {name} is gone again")
    return tuple(done)


def delete_versions(remote: Remote, name: str, numbers: tuple[int, ...]) -> None:
    """Delete versions; none of them may bear an alias any more."""
    for number in numbers:
        # One that is gone already was deleted by a request whose answer got lost.
        remote.find(
            f"delete version {number} of {name}",
            lambda n=number: remote.client.model_versions.delete(name, n),  # type: ignore[misc] # as above
        )
