"""What the endpoint has answered, as the report shows it: stage by stage, by version, with what was decided after each."""

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass

from ml.evaluation.record import Evaluation
from ml.gate.intervals import judged_differences
from ml.gate.verdict import Reason
from ml.rollout.decision import said
from ml.rollout.looks import policy_of_look
from ml.spec.gate_policy import GatePolicy
from pipelines.report.charts import Series, line_chart
from pipelines.report.compared import Compared, compared
from pipelines.report.records import Row, ServedByVersion, ServedRequests

CHAMPION, CHALLENGER, ALONE = "champion", "challenger", "alone"


@dataclass(frozen=True, kw_only=True)
class ShownLook:
    """One decision about a challenger.

    Attributes
    ----------
    reasons
        Every rule, those by which it was returned first.
    compared
        What the gate compared; None where it could not decide, or decides by another policy now.
    """

    run_id: str

    decided_at: dt.datetime
    move: str
    sentence: str
    reasons: tuple[Reason, ...]
    compared: Compared | None = None

    @property
    def id(self) -> str:
        """Its place on the page."""
        return look_id(self.run_id)


@dataclass(frozen=True, kw_only=True)
class ServedStage:
    """What was served in one stage of a rollout, or without one.

    Attributes
    ----------
    name
        The challenger and what it did, or that there was none.
    versions
        Each with its role; the champion first.
    """

    name: str
    versions: tuple[tuple[str, ServedByVersion], ...]
    looks: tuple[ShownLook, ...]

    @property
    def first(self) -> dt.datetime:
        """The instant of the earliest request."""
        return min(one.first for _, one in self.versions)

    @property
    def last(self) -> dt.datetime:
        """The instant of the latest request."""
        return max(one.last for _, one in self.versions)

    def slowest(self, role: str) -> float | None:
        """Return the 99th percentile of a role's milliseconds; None where it scored nothing."""
        found = next((one.slowest for name, one in self.versions if name == role), None)
        return None if found is None else 1000 * found


def look_id(run_id: str) -> str:
    """Return the id of a look on the page."""
    return f"look-{run_id}"


def served_stages(served: ServedRequests | None, policy: GatePolicy) -> tuple[ServedStage, ...]:
    """Return the stages in the order in which they began.

    Parameters
    ----------
    policy
        The gate's now: looks of another one are shown without intervals.
    """
    if served is None:
        return ()
    keys = dict.fromkeys(
        (one.rollout_id, one.percentage) for one in sorted(served.by_version, key=lambda one: one.began)
    )
    return tuple(_stage(served, *key, policy) for key in keys)


def latency_chart(stages: Sequence[ServedStage]) -> str:
    """Return the chart of the slowest in a hundred, by stage and role; empty without any."""
    series = [
        Series(label=role, style=style, values=[stage.slowest(role) for stage in stages])
        for role, style in latency_legend(stages)
    ]
    return line_chart(
        name="served", columns=[stage.name for stage in stages], series=series, digits=1,
        description="milliseconds within which 99 of 100 requests were scored, by stage and version",
    )  # fmt: skip


def latency_legend(stages: Sequence[ServedStage]) -> list[tuple[str, str]]:
    """Return the role and the style of each line of that chart."""
    styles = {CHAMPION: "champion", CHALLENGER: "baseline", ALONE: "observed"}
    there = {role for stage in stages for role, _ in stage.versions}
    return [(role, style) for role, style in styles.items() if role in there]


def _stage(served: ServedRequests, rollout_id: str | None, percentage: int | None, policy: GatePolicy) -> ServedStage:
    own = [one for one in served.by_version if (one.rollout_id, one.percentage) == (rollout_id, percentage)]
    decided = sorted(
        (row for row in served.decisions if (row["rollout_id"], row["percentage"]) == (rollout_id, percentage)),
        key=lambda row: row["decided_at"],
    )
    challengers = {row["model_version"] for row in served.decisions if row["rollout_id"] == rollout_id}
    role = {one.version: ALONE if rollout_id is None else CHALLENGER if one.version in challengers else CHAMPION for one in own}  # fmt: skip
    versions = sorted(
        ((role[one.version], one) for one in own), key=lambda pair: (pair[0] != CHAMPION, pair[1].version)
    )
    named = next(iter(challengers), None)
    who = f"v{named} " if named is not None else ""
    name = "no rollout" if rollout_id is None or percentage is None else f"{who}{said(percentage)}"
    return ServedStage(name=name, versions=tuple(versions), looks=tuple(_look(row, policy) for row in decided))


def _look(row: Row, policy: GatePolicy) -> ShownLook:
    run_id, differences = str(row["run_id"]), None
    if row["evaluation"] is not None and row["look"] is not None:
        evaluation = Evaluation.from_json(row["evaluation"])
        judged = judged_differences(evaluation, policy_of_look(policy, row["look"]), row["model_version"])
        differences = compared(judged, name=f"compared-{run_id}")
    return ShownLook(
        run_id=run_id, decided_at=row["decided_at"], move=row["move"], sentence=row["sentence"],
        reasons=tuple(Reason(**reason) for reason in json.loads(row["reasons"])), compared=differences,
    )  # fmt: skip
