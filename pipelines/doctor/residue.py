"""What is found: one record for each thing that was left behind."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class ResidueKind(StrEnum):
    """The kinds of residue, in the order in which they are repaired."""

    DEAD_RUN = "dead run"
    OPEN_MLFLOW_RUN = "open MLflow run"
    HALF_VERSION = "half-made version"
    UNUSED_MODEL = "model without version"
    IDENTICAL_CANDIDATE = "identical candidate"
    WAITING_CANDIDATE = "candidate of a dead run"
    DUPLICATE_KEYS = "duplicate keys"
    BATCH_WITHOUT_FEATURES = "batch without features"
    ORPHAN_FILES = "orphan files"


@dataclass(frozen=True, kw_only=True)
class Residue:
    """One thing that was left behind.

    Attributes
    ----------
    where
        The table, model, run or folder.
    what
        What was found there.
    remedy
        What a repair does, and what a person may do instead.
    subject
        What the repair needs to know, by name.
    """

    kind: ResidueKind
    where: str
    what: str
    remedy: str
    subject: Mapping[str, Any] = field(default_factory=dict, repr=False)
