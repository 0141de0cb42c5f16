"""The ceilings: who may hold what at most, and what settings may state at most, as `infra/ceilings.yaml` says.

Nothing that grants a right imports this module; the checks compare with it.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infra.permissions.roles import Access, Role
from ml.spec.errors import DeclarationError

CEILINGS = Path(__file__).parents[1] / "ceilings.yaml"
EVERY = "*"
"""The layer that stands for all layers without a line of their own."""
TEAM = "team"

Words = tuple[str, ...]
Held = Mapping[str, Words | Mapping[str, Words]]
"""Kind of object to the words that may be held on it; for schemas by layer."""


class CeilingsError(DeclarationError):
    """The file of ceilings cannot be read; the message names every mistake."""


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AzureRight(_Closed):
    """The identity that may hold a role, and on what type of resource: both of the environment of the assignment.

    Attributes
    ----------
    named
        The name of the identity's resource in its stack; empty for any.
    """

    principal: str
    scope: str
    named: str = ""


class Ceilings(_Closed):
    """All ceilings.

    Attributes
    ----------
    azure_holders
        Who may hold roles in Azure that no stack gives, by name or object id; nobody where it is absent.
    """

    levels: Mapping[Access, dict[str, Any]]
    people: Mapping[str, Mapping[Annotated[str, Field(pattern=f"^({'|'.join([*Role, TEAM])})$")], tuple[Access, ...]]]
    machines: Mapping[str, dict[str, Any]]
    azure_roles: Mapping[str, tuple[AzureRight, ...]]
    azure_holders: Mapping[str, Words] = Field(default_factory=dict)
    leaves: Mapping[str, Mapping[str, Words]]
    settings: Mapping[str, Mapping[str, Any]]

    def level(self, level: Access, kind: str, layer: str = "") -> frozenset[str]:
        """Return the words that a level may hold on a kind of object."""
        return _words(self.levels.get(level, {}), kind, layer)

    def machine(self, machine: str, kind: str, layer: str = "") -> frozenset[str]:
        """Return the words that an identity may hold on a kind of object."""
        return _words(self.machines.get(machine, {}), kind, layer)


def _words(held: Mapping[str, Any], kind: str, layer: str) -> frozenset[str]:
    found = held.get(kind, ())
    if isinstance(found, Mapping):
        found = found.get(layer, found.get(EVERY, ()))
    return frozenset(found)


@cache
def ceilings(path: Path = CEILINGS) -> Ceilings:
    """Read the ceilings.

    Raises
    ------
    CeilingsError
        If the file is missing or wrong, with every mistake at once.
    """
    try:
        return Ceilings.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError) as error:
        raise CeilingsError(f"{path.name} cannot be read: {error}") from error
    except ValidationError as error:
        mistakes = [f"{path.name}, {'.'.join(map(str, e['loc']))}: {e['msg']}." for e in error.errors()]
        raise CeilingsError("\n".join(mistakes)) from error
