"""The reference of drift: profiles per day of the rows that a model version was trained on."""

import base64
import datetime as dt
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ml.drift.thresholds import MINIMUM_DAYS, Thresholds, calibrate, fixed
from ml.monitoring.findings import Window
from ml.profiles.specification import ProfileSpec
from ml.profiles.table_profile import Profile, merge_all, profile
from ml.spec.monitoring_policy import CALIBRATED
from pipelines.execution.context import Context
from pipelines.lakehouse.registry.model_version import ModelVersion
from pipelines.lakehouse.registry.models import Models

PROFILE_FILE = "reference_profile.json"
"""Sidecar file of every model: the profiles of its training rows, one per day of prediction."""
KEYS_FILE = "training_keys.bin"
"""Sidecar file of every model: the hashes of the keys of its training rows (`ml.evaluation.key_hashes`)."""
SAMPLE_ROWS = 20_000
"""Rows from which the grid of the profiles is made."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The profiles of the days a version was trained on.

    Attributes
    ----------
    spec
        The grid by which every profile compared with it must be made.
    window
        From the first of those days to the end of the last.
    """

    version: int
    spec: ProfileSpec
    days: tuple[Profile, ...]
    window: Window

    @classmethod
    def of(cls, context: Context, version: ModelVersion) -> "Reference":
        """Return the reference that is stored with a version."""
        return cls.stored(context.lakehouse.models, version)

    @classmethod
    def stored(cls, models: Models, version: ModelVersion) -> "Reference":
        """Return the reference that a registry keeps with a version.

        Raises
        ------
        NoModelVersionError
            If the version has none, as one of an older release.
        """
        stored = json.loads(models.read_sidecar(version, PROFILE_FILE))
        spec = ProfileSpec.from_json(stored["spec"])
        days = sorted(stored["days"])
        return cls(
            version=version.number,
            spec=spec,
            days=tuple(Profile.from_bytes(base64.b64decode(stored["days"][day]), spec) for day in days),
            window=Window(
                start=dt.datetime.fromisoformat(days[0]), end=dt.datetime.fromisoformat(days[-1]) + dt.timedelta(days=1)
            ),
        )

    @property
    def profile(self) -> Profile:
        """All days together."""
        return merge_all(self.days, self.spec)

    def thresholds(self, context: Context, *, days: int, rows: int) -> Thresholds | None:
        """Return from when on a difference counts, as the use case's policy says; None if there are too few days.

        Parameters
        ----------
        days, rows
            Of what is compared with the reference.
        """
        policy = context.use_case.monitoring
        if policy.thresholds != CALIBRATED:
            return fixed(policy.thresholds, self.spec.columns)
        if len(self.days) < MINIMUM_DAYS:
            context.say(f"no drift findings: {len(self.days)} days of training rows, {MINIMUM_DAYS} are needed")
            return None
        return calibrate(
            self.days,
            window_days=days,
            window_rows=rows,
            statistics=policy.statistics,
            false_alarms_per_month=policy.false_alarms_per_month,
            negligible=policy.negligible,
            seed=self.version,
        )


def reference_profiles(rows: pd.DataFrame, predicted_at: "pd.Series[pd.Timestamp]") -> dict[str, Any]:
    """Return the profiles of training rows by day of prediction, with their grid once, as plain values for JSON.

    Parameters
    ----------
    rows
        Inputs and score.
    predicted_at
        The instant of prediction of each row, UTC.
    """
    random = np.random.default_rng(0)
    sample = rows.iloc[random.permutation(len(rows))[:SAMPLE_ROWS]]
    spec = ProfileSpec.from_sample(_columns(sample))
    by_day = {
        pd.Timestamp(str(day)).isoformat(): profile(_columns(part), spec).to_bytes()
        for day, part in rows.groupby(predicted_at.dt.floor("D"))
    }
    return {"spec": spec.to_json(), "days": {day: base64.b64encode(data).decode() for day, data in by_day.items()}}


def _columns(frame: pd.DataFrame) -> dict[str, Any]:
    return {str(name): frame[name].to_numpy() for name in frame}
