"""What a model version was trained on, as profiles per day: what drift is measured against."""

import datetime as dt
from dataclasses import dataclass

from ml.monitoring import Window
from ml.monitoring_policy import CALIBRATED
from ml.profile_specification import ProfileSpec
from ml.profiles import Profile, merge_all
from ml.thresholds import Thresholds, calibrate, fixed
from pipelines.context import Context
from pipelines.tasks.candidates import PROFILE_FILE
from pipelines.workspace.models import ModelVersion

WINDOW_DAYS = 30
"""Length of the monitored windows, for which thresholds are calibrated."""

CALIBRATION_DAYS = 14
"""Days of training rows without which chance cannot be told from drift: two weeks, drawn as blocks."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The profiles of the days a version was trained on.

    Attributes
    ----------
    window
        From the first of those days to the end of the last.
    """

    version: int
    days: tuple[Profile, ...]
    window: Window

    @classmethod
    def of(cls, context: Context, version: ModelVersion) -> "Reference":
        """Return the reference that was stored with a version's run."""
        stored = context.workspace.models.read_dict(version, PROFILE_FILE)
        by_day = {dt.datetime.fromisoformat(day): Profile.from_json(profile) for day, profile in stored.items()}
        first, last = min(by_day), max(by_day)
        return cls(
            version=version.number,
            days=tuple(by_day[day] for day in sorted(by_day)),
            window=Window(start=first, end=last + dt.timedelta(days=1)),
        )

    @property
    def spec(self) -> ProfileSpec:
        """The grid by which every profile compared with it must be made."""
        return self.days[0].spec

    @property
    def profile(self) -> Profile:
        """All days together."""
        return merge_all(self.days, self.spec)

    def thresholds(self, context: Context) -> Thresholds | None:
        """Return from when on a difference counts, as the use case's policy says; None if there are too few days."""
        policy = context.use_case.monitoring
        if policy.thresholds != CALIBRATED:
            return fixed(policy.thresholds, self.spec.columns)
        if len(self.days) < CALIBRATION_DAYS:
            context.say(f"no drift findings: {len(self.days)} days of training rows, {CALIBRATION_DAYS} are needed")
            return None
        return calibrate(
            self.days,
            window_days=WINDOW_DAYS,
            statistics=policy.statistics,
            false_alarms_per_month=policy.false_alarms_per_month,
            seed=self.version,
        )
