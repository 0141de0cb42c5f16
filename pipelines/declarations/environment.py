"""The three environments and the order in which code and models pass through them."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pipelines.declarations.mistakes import DeclarationError, unknown


@dataclass(frozen=True, kw_only=True)
class Environment:
    """One isolated environment: its own workspace, catalog, tables and models.

    Attributes
    ----------
    name
        Also the name of its catalog, on Databricks and on a laptop.
    receives_from
        The environment from which code and models are promoted into this one; None for the first.
    """

    name: str
    receives_from: str | None

    @property
    def catalog(self) -> str:
        """The Unity Catalog catalog (locally: the folder) that holds everything this environment owns."""
        return self.name


DEV = Environment(name="dev", receives_from=None)
STAGING = Environment(name="staging", receives_from="dev")
PROD = Environment(name="prod", receives_from="staging")

ENVIRONMENTS: Mapping[str, Environment] = MappingProxyType({e.name: e for e in (DEV, STAGING, PROD)})


def environment(name: str) -> Environment:
    """Return the environment of that name.

    Raises
    ------
    DeclarationError
        If there is none, with the nearest name.
    """
    if name not in ENVIRONMENTS:
        raise DeclarationError(unknown("environment", name, ENVIRONMENTS))
    return ENVIRONMENTS[name]
