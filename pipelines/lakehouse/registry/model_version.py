"""One version of a registered model, as the registry knows it. Finding and changing versions is `models`' part."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mlflow.entities.model_registry import ModelVersion as RegistryVersion

from ml.spec.errors import LakehouseError
from pipelines.declarations.asset import Model

DIGEST = "files_sha256"
"""The tag with the digest of a version's files, see `pipelines.lakehouse.registry.model_files`."""


MODEL_ID = re.compile(r"\bm-[0-9a-f]{32}\b")
"""How MLflow names the folder of a stored model; a local registry does not say it in another way."""
TRAINED_IN = "trained_in"
"""The tag with the environment in which a version was trained; ``environment`` is the one in which it is registered."""


class NoModelVersionError(LakehouseError, LookupError):
    """An alias or a number behind which there is no model version; the message says what to run."""

    exit_code = 2


class DeletedVersionError(LakehouseError):
    """An alias whose version was deleted: that is no model without a champion, and nothing is decided or moved by it."""


@dataclass(frozen=True, kw_only=True)
class ModelVersion:
    """One registered version.

    Attributes
    ----------
    model
        Its declaration.
    number
        1 for the first version ever, then counting.
    run_id
        The run that trained it.
    model_id
        Its stored files, as MLflow calls them; None where the registry does not say.
    """

    model: Model
    number: int
    run_id: str
    tags: Mapping[str, str]
    aliases: tuple[str, ...]
    model_id: str | None = None

    @property
    def digest(self) -> str | None:
        """The digest of its files; None if the release that registered it recorded none."""
        return self.tags.get(DIGEST)

    @property
    def trained_in(self) -> str | None:
        """The environment in which it was trained; older releases left the tag ``environment`` of a copy as it was there."""
        return self.tags.get(TRAINED_IN, self.tags.get("environment"))

    @classmethod
    def of(cls, model: Model, found: RegistryVersion) -> "ModelVersion":
        """Return what the registry says of a version."""
        return cls(
            model=model,
            number=int(found.version),
            run_id=found.run_id or "",
            tags=dict(found.tags),
            aliases=tuple(found.aliases),
            model_id=found.model_id or _id_in(found.source or ""),
        )


def _id_in(location: str) -> str | None:
    found = MODEL_ID.search(location)
    return found[0] if found else None
