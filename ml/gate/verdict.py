"""The verdict of the gate, as frozen records: the outcome and every rule that was applied, each as a sentence."""

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from ml.gate.remedies import remedies


class Outcome(StrEnum):
    """The outcome of a verdict.

    ``PROMOTE``: a candidate is shown to be better and breaks no rule. ``KEEP``: no candidate is shown to be better, or
    there is none. ``REFUSE``: the evaluation allows no decision, no candidate counts, or a better one breaks a rule; a
    person should look.
    """

    PROMOTE = "promote"
    KEEP = "keep"
    REFUSE = "refuse"


@dataclass(frozen=True, kw_only=True)
class Reason:
    """The result of one rule.

    Attributes
    ----------
    candidate
        Version to which the rule was applied; None for the evaluation as a whole.
    value, threshold
        The value found and the value demanded; None if the rule compares no numbers.
    """

    rule: str
    candidate: int | None
    passed: bool
    value: float | None
    threshold: float | None
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The decision of the gate.

    Attributes
    ----------
    evaluation_digest
        Digest of the evaluation; promotion checks that the stored evaluation still has it.
    promoted
        The version that becomes champion; None unless the outcome is ``PROMOTE``.
    challenger
        The best candidate that counts, promoted or not; None if there is none.
    reasons
        Every rule that was applied: first to the evaluation, then to each candidate, the best first.
    """

    outcome: Outcome
    evaluation_id: str
    evaluation_digest: str
    policy: str
    champion: int | None
    promoted: int | None
    challenger: int | None
    reasons: tuple[Reason, ...]

    @property
    def failed(self) -> tuple[Reason, ...]:
        """The reasons that failed."""
        return tuple(reason for reason in self.reasons if not reason.passed)

    @property
    def sentence(self) -> str:
        """The verdict in one sentence, for a person."""
        if self.outcome is Outcome.PROMOTE:
            instead = f" instead of version {self.champion}" if self.champion is not None else " as the first champion"
            won = next(r for r in self.reasons if r.candidate == self.promoted and r.rule == "better")
            apart = [r for r in self.reasons if r.candidate == self.promoted and r.rule == "small_slices" and r.value]
            return f"promote version {self.promoted}{instead}: {'; '.join(r.sentence for r in [won, *apart])}."
        stays = f"version {self.champion} stays champion" if self.champion is not None else "there is still no champion"
        why = [*(reason.sentence.rstrip(".") for reason in self.failed), *remedies(self.failed)]
        return f"{self.outcome.value}: {stays}; {'; '.join(why)}."

    def to_json(self) -> str:
        """Return the verdict with its sentence as one line of JSON."""
        return json.dumps({**asdict(self), "sentence": self.sentence}, sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Verdict":
        """Return the verdict that `to_json` wrote.

        Raises
        ------
        ValueError
            If the text is not such a verdict.
        """
        try:
            stored: dict[str, Any] = dict(json.loads(text))
            stored.pop("sentence")
            reasons = tuple(Reason(**reason) for reason in stored.pop("reasons"))
            return cls(**{**stored, "outcome": Outcome(stored["outcome"])}, reasons=reasons)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"this is not a stored verdict ({error!r}): decide again.") from error
