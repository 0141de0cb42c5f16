"""What the endpoint has answered, as the report shows it: stage by stage, by version, with what was decided after each."""

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from ml.evaluation.record import Evaluation
from ml.gate.basis import DecisionBasis, basis
from ml.gate.verdict import Reason
from ml.rollout.decision import said
from ml.spec.gate_policy import GatePolicy
from pipelines.report.charts import Series, line_chart
from pipelines.report.records import Row, ServedByVersion, ServedRequests

NOT_ASKED = "The gate was not asked, so no value, interval or slice was part of this decision; the rules above decided."
CHAMPION, CHALLENGER, ALONE = "champion", "challenger", "alone"


@dataclass(frozen=True, kw_only=True)
class ShownLook:
    """One decision about a challenger.

    Attributes
    ----------
    run_id
        Of the job that decided; what it ended has a verdict that names it.
    reasons
        Every rule, those by which it was returned first.
    basis
        Values, intervals and slices that the gate was asked with.
    """

    decided_at: dt.datetime
    move: str
    sentence: str
    reasons: tuple[Reason, ...]
    version: int
    champion: int
    run_id: str = ""
    basis: DecisionBasis = field(default_factory=DecisionBasis)


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


def served_stages(served: ServedRequests | None, policy: GatePolicy) -> tuple[ServedStage, ...]:
    """Return the stages in the order in which they began; `policy` is the present one."""
    if served is None:
        return ()
    keys = dict.fromkeys(
        (one.rollout_id, one.percentage) for one in sorted(served.by_version, key=lambda one: one.began)
    )
    return tuple(_stage(served, *key, policy=policy) for key in keys)


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


def _stage(
    served: ServedRequests, rollout_id: str | None, percentage: int | None, *, policy: GatePolicy
) -> ServedStage:
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
    reasons = tuple(Reason(**reason) for reason in json.loads(row["reasons"]))
    stored, own = row.get("evaluation"), row["model_version"]
    about = [reason for reason in reasons if reason.candidate == own]
    return ShownLook(
        decided_at=row["decided_at"], move=row["move"], sentence=row["sentence"], reasons=reasons, version=own,
        champion=row["champion"], run_id=row.get("run_id", ""),
        basis=basis(Evaluation.from_json(stored), own, about, policy) if stored else DecisionBasis(without=(NOT_ASKED,)),
    )  # fmt: skip
