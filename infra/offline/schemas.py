"""The schemas of the installed providers: recovered once per version of the bindings, completed by `facts.yaml`."""

import gzip
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from infra.offline import bindings, generated, recovery
from infra.offline.bindings import BindingError, installed_binding, typescript

Schemas = dict[str, Any]
"""One provider: ``version``, ``provider``, ``resources`` and ``data_sources`` by type."""

KINDS = ("resources", "data_sources")
FACTS = Path(__file__).with_name("facts.yaml")


def provider_schemas(provider: str, *, cache: Path | None = None) -> Schemas:
    """Return every schema of one provider, exact for the types that `facts.yaml` names.

    Parameters
    ----------
    provider
        For example ``databricks``.
    cache
        Folder for the recovered schemas; None for `cache_folder()`. A file that cannot be read is replaced.

    Raises
    ------
    BindingError
        If the bindings are missing or cannot be read.
    """
    binding = installed_binding(provider)
    readers = [Path(str(module.__file__)).read_bytes() for module in (bindings, generated, recovery)]
    reader = hashlib.sha256(b"".join(readers)).hexdigest()[:12]
    kept = (cache or cache_folder()) / f"{provider}-{binding.version}-{reader}.json.gz"
    schemas = _read(kept)
    if schemas is None:
        schemas = recovery.recover(typescript(binding))
        _write(kept, schemas)
    return with_facts(schemas, facts().get(provider, {}))


def cache_folder() -> Path:
    """Return the folder of the user's cache with the recovered schemas."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "lakehouse-mlops" / "provider-schemas"


def facts() -> dict[str, Any]:
    """Return the facts that the bindings do not state, by provider, kind and type; see the head of `facts.yaml`."""
    loaded: dict[str, Any] = yaml.safe_load(FACTS.read_text(encoding="utf-8"))
    return loaded


def with_facts(schemas: Schemas, known: Mapping[str, Any]) -> Schemas:
    """Return `schemas` completed by facts.

    Parameters
    ----------
    known
        By kind and type: a path within the schema (``.`` for the resource itself, else names joined by dots) to the
        flags at this path.

    Raises
    ------
    BindingError
        If a fact names a type or a path that the provider does not have.
    """
    completed: Schemas = {**schemas, **{kind: dict(schemas[kind]) for kind in KINDS}}
    if provider_facts := known.get("provider"):
        completed["provider"] = _complete(completed["provider"], provider_facts, where="provider")
    for kind in KINDS:
        for name, flags in known.get(kind, {}).items():
            if name not in completed[kind]:
                raise BindingError(f"facts.yaml names {name!r}, which these bindings do not have: remove it there.")
            completed[kind][name] = _complete(completed[kind][name], flags, where=name)
    return completed


def only(schemas: Schemas, *, resources: Iterable[str], data_sources: Iterable[str]) -> Schemas:
    """Return the part of `schemas` with the given types; types that the provider does not have are left out."""
    types = {"resources": set(resources), "data_sources": set(data_sources)}
    cut = {kind: {name: s for name, s in schemas[kind].items() if name in types[kind]} for kind in KINDS}
    return {**schemas, **cut}


def _complete(schema: dict[str, Any], flags: Mapping[str, Mapping[str, Any]], *, where: str) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(schema))
    for path, values in flags.items():
        place = _at(copy, path, where)
        for flag, value in values.items():
            # A block, and so a whole resource, is deprecated within; every other flag is a neighbour of its block.
            (place["block"] if flag == "deprecated" and "block" in place else place)[flag] = value
    return copy


def _at(schema: dict[str, Any], path: str, where: str) -> dict[str, Any]:
    place = schema
    for name in [] if path == "." else path.split("."):
        inner = place.get("block") or place.get("nested_type") or {}
        below = {**inner.get("attributes", {}), **inner.get("block_types", {})}
        if name not in below:
            raise BindingError(f"facts.yaml, {where}: there is no {path!r} in these bindings; remove it there.")
        place = below[name]
    return place


def _read(path: Path) -> Schemas | None:
    try:
        read: Schemas = json.loads(gzip.decompress(path.read_bytes()))
    except (OSError, EOFError, ValueError):
        return None
    return read


def _write(path: Path, schemas: Schemas) -> None:
    # Renamed into place, so that two commands started at once never read half a file.
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(gzip.compress(json.dumps(schemas, separators=(",", ":")).encode(), compresslevel=1, mtime=0))
    Path(file.name).replace(path)
