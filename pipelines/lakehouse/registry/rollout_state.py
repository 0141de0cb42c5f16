"""Where a rollout stands, as the registry has it: the one record that endpoints here and on Databricks follow.

The version behind the alias ``challenger`` has the tag `ROLLOUT`, one value that is set by one call, so nobody reads half of a
move. A rollout goes on until the tag says how it ended, or the challenger has the alias ``champion``.
"""

import datetime as dt
import json
from dataclasses import asdict, dataclass

from pipelines.declarations.asset import Model
from pipelines.lakehouse.registry.aliases import CHALLENGER, CHAMPION
from pipelines.lakehouse.registry.model_version import DeletedVersionError, ModelVersion
from pipelines.lakehouse.registry.models import Models

ROLLOUT = "rollout"
"""The tag of a version with the state of its rollout, as JSON."""


@dataclass(frozen=True, kw_only=True)
class RolloutState:
    """The state of one rollout.

    Attributes
    ----------
    rollout_id
        The evaluation after which it began; also the salt by which requests are divided.
    version, champion
        The challenger, and the version that it was judged against.
    percentage
        Of the requests that the challenger answers; 0 for a shadow.
    since
        When this stage began.
    ended
        How it ended, in words; empty while it goes on.
    """

    rollout_id: str
    version: int
    champion: int
    percentage: int
    since: dt.datetime
    ended: str = ""

    @property
    def sentence(self) -> str:
        """What the two versions do in this stage, for people."""
        does = (
            f"version {self.version} scores what version {self.champion} answers, as its shadow,"
            if not self.percentage
            else f"version {self.version} answers {self.percentage}% of the requests and version {self.champion} the others"
        )
        return f"{does} since {self.since:%Y-%m-%d %H:%M}"

    def to_tag(self) -> str:
        """Return the value of the tag."""
        return json.dumps({**asdict(self), "since": self.since.isoformat()}, sort_keys=True)

    @classmethod
    def of_tag(cls, text: str) -> "RolloutState":
        """Return the state that `to_tag` wrote."""
        stored = json.loads(text)
        return cls(**{**stored, "since": dt.datetime.fromisoformat(stored["since"])})


def state_of(version: ModelVersion) -> RolloutState | None:
    """Return where the rollout of a version stands or how it ended; None if it never had one."""
    found = version.tags.get(ROLLOUT)
    return None if found is None else RolloutState.of_tag(found)


def current_rollout(models: Models, model: Model) -> RolloutState | None:
    """Return the rollout that goes on; None without one, also where somebody has deleted the challenger."""
    try:
        challenger = models.find_alias(model, CHALLENGER)
    except DeletedVersionError:
        return None
    state = None if challenger is None else state_of(challenger)
    if state is None or state.ended or challenger is None:
        return None
    champion = models.find_alias(model, CHAMPION)
    return None if champion is not None and champion.number == challenger.number else state


def set_state(models: Models, model: Model, state: RolloutState) -> None:
    """Keep where a rollout stands, by one call."""
    models.set_tags(models.version(model, state.version), {ROLLOUT: state.to_tag()})
