"""The generated TypeScript of every resource, unpacked from the installed cdktf bindings without importing them.

The wheel of a binding contains an npm package (`_jsii/*.tgz`). Its JavaScript files end with a source map that contains the
TypeScript from which they were compiled; it states for every attribute whether it is computed, optional or required.
`recovery` reads that text.
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
"""Provider name to the distribution of its bindings."""

SOURCE_MAP = b"//# sourceMappingURL=data:application/json;base64,"


class BindingError(NotPossibleError):
    """The bindings of a provider are not installed or not as expected; the message has the provider and the cause."""


@dataclass(frozen=True, kw_only=True)
class Binding:
    """The installed bindings of one provider.

    Attributes
    ----------
    provider
        For example ``azurerm``.
    version
        The version of the bindings, which determines the provider's version.
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
        If the provider has no known bindings, they are not installed, or they contain no npm package.
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
        raise BindingError(f"{distribution} has {len(archives)} npm packages instead of one: reinstall it.")
    return Binding(provider=provider, version=importlib.metadata.version(distribution), archive=archives[0])


def typescript(binding: Binding) -> dict[str, str]:
    """Return the TypeScript of every resource, data source and the provider, by folder of the npm package.

    The nested structures of a large resource are in several files of its folder, which are joined.

    Raises
    ------
    BindingError
        If no file contains its source.
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
        raise BindingError(f"{binding.archive.name} has no TypeScript sources: its schemas cannot be recovered.")
    return {folder: "\n".join(texts) for folder, texts in parts.items()}
