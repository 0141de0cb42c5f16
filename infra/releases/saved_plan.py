"""A saved plan, which is reviewed and applied unchanged: its files, its manifest, one hash over all.

The hash covers the manifest, and the manifest has the hash of every file: approving the hash approves every byte.
Before the plan is applied, Terraform shows again that it does what its JSON and its text say.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, StringConstraints, TypeAdapter, ValidationError

from ml.spec.errors import NotPossibleError

MANIFEST = "manifest.json"
FORMAT = 1
ENDINGS = ("plan", "json", "txt", "lock.hcl")
"""The files of each stack: Terraform's plan, the plan as JSON and as text, and the lock file of its providers."""
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$")]
"""The name of a stack or of a file in the plan's own folder; it cannot lead out of the folder."""


class SavedPlanError(NotPossibleError):
    """No plan can be saved or read; the message has the cause and the remedy."""


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """The wheel that a plan uploads, by its bytes."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The description of a saved plan.

    Attributes
    ----------
    created_at
        UTC, ISO 8601.
    providers
        Source to version.
    wheel
        None where no stack of the environment uploads one.
    stacks
        Each stack in the order of applying, with a digest of every output of another stack that it was planned from,
        as ``state.output``.
    deferred
        Stacks that cannot be planned yet, with the outputs of earlier stacks that they wait for.
    files
        File name to sha256.
    destroys
        The addresses with data that the plan destroys, each named by whoever saved it.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    environment: str
    commit: str
    created_at: str
    terraform: str
    providers: Mapping[str, str]
    wheel: Wheel | None
    stacks: Mapping[Name, Mapping[str, str]]
    files: Mapping[Name, str]
    deferred: Mapping[Name, tuple[str, ...]] = field(default_factory=dict)
    destroys: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """The one hash over the manifest and all files."""
        return hashlib.sha256(_canonical({"format": FORMAT, **dataclasses.asdict(self)}).encode()).hexdigest()

    @property
    def files_of_stacks(self) -> frozenset[str]:
        """The files that the plan must have for its stacks."""
        return frozenset(f"{stack}.{ending}" for stack in self.stacks for ending in ENDINGS)


_MANIFESTS = TypeAdapter(Manifest)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, with its hash for people to read."""
    content = {"format": FORMAT, **dataclasses.asdict(manifest), "sha256": manifest.sha256}
    (folder / MANIFEST).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Read a manifest.

    Raises
    ------
    SavedPlanError
        If there is none, it cannot be read, or its content does not have the hash that it states.
    """
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        stated, found = content.pop("sha256"), content.pop("format")
        if found != FORMAT:
            raise SavedPlanError(f"{path} has format {found}, this code reads {FORMAT}: plan again with this commit.")
        manifest = _MANIFESTS.validate_json(json.dumps(content), strict=True)
    except FileNotFoundError as error:
        raise SavedPlanError(
            f"{folder} holds no saved plan: make one with `python -m infra plan ENV --keep FOLDER`."
        ) from error
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise SavedPlanError(f"{path} is not the manifest of a plan ({wrong}): plan again.") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SavedPlanError(f"{path} cannot be read ({error}): plan again.") from error
    if manifest.sha256 != stated:
        raise SavedPlanError(f"{path} states the hash {stated} and has {manifest.sha256}: it was changed. Plan again.")
    return manifest


def reviewed(folder: Path, stack: str) -> tuple[dict[str, Any], str]:
    """Return what reviewers saw of a stack's plan: the JSON and the text.

    Raises
    ------
    SavedPlanError
        If a file is missing or cannot be read.
    """
    path = folder / f"{stack}.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        text = (folder / f"{stack}.txt").read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise SavedPlanError(f"{path} or its text cannot be read ({error}): plan again.") from error
    if not isinstance(content, dict):
        raise SavedPlanError(f"{path} is not a plan: plan again.")
    return content, text


def file_hashes(folder: Path) -> Mapping[str, str]:
    """Return the sha256 of every file of a saved plan except the manifest."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / MANIFEST)
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in paths}


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def digests(outputs: Mapping[str, Mapping[str, Any]]) -> Mapping[str, str]:
    """Return a digest of every output, by ``state.output``; the values are not saved."""
    return {
        f"{state}.{name}": hashlib.sha256(_canonical(value).encode()).hexdigest()
        for state, offered in sorted(outputs.items())
        for name, value in sorted(offered.items())
    }


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
