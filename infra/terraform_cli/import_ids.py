"""With which ids objects of each type are imported: the providers' own rules, stated in `import_ids.yaml`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).with_name("import_ids.yaml")
PAGES = "https://registry.terraform.io/providers/{provider}/latest/docs/resources/{page}#import"
PROVIDERS = {"databricks": "databricks/databricks", "azurerm": "hashicorp/azurerm", "azuread": "hashicorp/azuread"}
GROUP = "/subscriptions/{subscription_id}/resourceGroups/{resource_group_name}"
REFERENCE = re.compile(r"\$\{(?P<type>[a-z]\w*)\.(?P<name>\w+)\.(?P<argument>\w+)\}")
PART = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, kw_only=True)
class ImportRule:
    """How the objects of one type are imported.

    Parameters
    ----------
    type_
        The type.
    id
        The form of the id, with the names of its parts in braces; empty if the provider imports none.
    refused
        The provider's own words for a type that it does not import.
    page
        The provider's page of the type.
    not_told
        Argument to why no service tells it: a plan after the import states it once more.
    """

    type_: str
    id: str = ""
    refused: str = ""
    page: str
    not_told: Mapping[str, str]

    def parts(self, identity: str) -> dict[str, str] | None:
        """Return the parts of an id by their names; None for a text that is no id of the type."""
        found = re.compile(_pattern(self.id)).fullmatch(identity)
        return found.groupdict() if found else None

    def filled(self, values: Mapping[str, Any]) -> str | None:
        """Return the id with its parts filled; None if a part is not given."""
        names = PART.findall(self.id)
        if any(values.get(name) in (None, "") for name in names):
            return None
        return PART.sub(lambda part: str(values[part[1]]), self.id)


def stated_id(address: str, resources: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str | None:
    """Return the id of an object as its stack states it; None where that needs a value that the stack does not state.

    Parameters
    ----------
    address
        ``TYPE.NAME`` of the resource.
    resources
        Every resource of the stack's Terraform JSON: type to name to arguments.
    """
    type_, _, name = address.partition(".")
    rule, stated = import_rules().get(type_), resources.get(type_, {}).get(name)
    if rule is None or stated is None or not rule.id:
        return None
    return rule.filled({part: _resolved(stated.get(part), resources) for part in PART.findall(rule.id)})


def _resolved(value: Any, resources: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Any:
    """Return what a value is, through references to arguments of other resources; None for anything else."""
    if not isinstance(value, str) or "${" not in value:
        return value
    found = REFERENCE.fullmatch(value)
    if found is None:
        return None
    if found["argument"] == "id":
        return stated_id(f"{found['type']}.{found['name']}", resources)
    return _resolved(resources.get(found["type"], {}).get(found["name"], {}).get(found["argument"]), resources)


def _pattern(form: str) -> str:
    """Return a regular expression: a part ends where what follows it in the form begins; the last one takes the rest."""
    pieces = PART.split(form)
    pattern = re.escape(pieces[0])
    for name, after in zip(pieces[1::2], pieces[2::2], strict=True):
        inner = ".+" if not after else f"[^{re.escape(after)}]+" if len(after) == 1 else ".+?"
        pattern += f"(?P<{name}>{inner}){re.escape(after)}"
    return pattern


@cache
def import_rules() -> Mapping[str, ImportRule]:
    """Return the rule of every type that is stated."""
    stated: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return {type_: _rule(type_, one) for type_, one in stated.items()}


def _rule(type_: str, stated: Mapping[str, Any]) -> ImportRule:
    provider, _, name = type_.partition("_")
    page = PAGES.format(provider=PROVIDERS[provider], page=stated.get("page", name))
    return ImportRule(
        type_=type_, id=stated.get("id", "").replace("{group}", GROUP), refused=stated.get("refused", ""), page=page,
        not_told=stated.get("not_told", {}),
    )  # fmt: skip
