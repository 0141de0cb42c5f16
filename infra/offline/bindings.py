"""What the installed cdktf bindings carry: the generated TypeScript of every resource, unpacked without importing them.

A binding's wheel holds an npm package (`_jsii/*.tgz`). Its JavaScript files end in a source map with the TypeScript they
were compiled from, which states for every attribute whether it is computed, optional or required. Reading that text is
the business of `recovery`.
"""

import base64
import importlib.metadata
import importlib.util
import json
import tarfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from ml.spec.errors import NotPossibleError

PROVIDERS: Mapping[str, str] = MappingProxyType(
    {name: f"cdktf-cdktf-provider-{name}" for name in ("azuread", "azurerm", "databricks")}
)
"""Provider name to the distribution that holds its bindings."""

SOURCE_MAP = b"//# sourceMappingURL=data:application/json;base64,"


class BindingError(NotPossibleError):
    """The bindings of a provider are not installed or are not what was expected; the message says which and why."""


@dataclass(frozen=True, kw_only=True)
class Binding:
    """The installed bindings of one provider.

    Attributes
    ----------
    provider
        For example ``azurerm``.
    version
        The version of the bindings, which fixes the provider's version.
    archive
        The npm package inside the wheel.
    """

    provider: str
    version: str
    archive: Path


def installed_binding(provider: str) -> Binding:
    """Find the bindings of a provider without importing them (an import takes seconds).

    Raises
    ------
    BindingError
        If the provider has no known bindings, they are not installed, or hold no npm package.
    """
    if provider not in PROVIDERS:
        raise BindingError(
            f"no bindings are known for provider {provider!r}: known are {', '.join(sorted(PROVIDERS))}."
        )
    distribution = PROVIDERS[provider]
    spec = importlib.util.find_spec(distribution.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        raise BindingError(f"{distribution} is not installed: install the project's requirements.")
    archives = sorted(Path(spec.submodule_search_locations[0]).glob("_jsii/*.jsii.tgz"))
    if len(archives) != 1:
        raise BindingError(f"{distribution} holds {len(archives)} npm packages where one is expected: reinstall it.")
    return Binding(provider=provider, version=importlib.metadata.version(distribution), archive=archives[0])


def typescript(binding: Binding) -> dict[str, str]:
    """Return the TypeScript of every resource, data source and the provider, by folder of the npm package.

    A large resource spreads its nested structures over several files of its folder; they are joined here.

    Raises
    ------
    BindingError
        If no file carries its source.
    """
    parts: dict[str, list[str]] = defaultdict(list)
    with tarfile.open(binding.archive, "r|gz") as archive:
        for member in archive:
            path = Path(member.name).parts
            if path[:2] != ("package", "lib") or len(path) < 4 or not member.name.endswith(".js"):
                continue
            content = archive.extractfile(member)
            _, found, encoded = content.read().rpartition(SOURCE_MAP) if content else (b"", b"", b"")
            if found:
                parts[path[2]].extend(json.loads(base64.b64decode(encoded))["sourcesContent"])
    if not parts:
        raise BindingError(f"{binding.archive.name} carries no TypeScript sources: its schemas cannot be recovered.")
    return {folder: "\n".join(texts) for folder, texts in parts.items()}
