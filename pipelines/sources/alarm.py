"""A delivery of which most is quarantined: how much of it, the commonest reasons, and the sentence that says so."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.declarations.source import Source
from pipelines.sources.contract import Checked
from pipelines.sources.quarantine import Breach

SHOWN = 3
"""How many kinds of breach a sentence shows."""


@dataclass(frozen=True, kw_only=True)
class Quarantined:
    """How much of a delivery broke its contract.

    Attributes
    ----------
    read, quarantined
        Rows delivered, and rows of them in quarantine.
    commonest
        Kinds of breach, the commonest first. A row may have several.
    """

    source: str
    read: int
    quarantined: int
    commonest: tuple[Breach, ...] = ()

    @property
    def share(self) -> float:
        """The quarantined part of the delivered rows, from 0 to 1; 0 of no rows."""
        return self.quarantined / self.read if self.read else 0.0

    @property
    def sentence(self) -> str:
        """Say the share, the commonest reasons and what to do."""
        what = f"source {self.source}: {self.quarantined:,} of {self.read:,} rows ({self.share:.0%}) are quarantined"
        reasons = "; ".join(_in_words(breach) for breach in self.commonest[:SHOWN])
        return (
            f"{what}{f', most often: {reasons}' if reasons else ''}. All rows are written, kept or quarantined: read the table "
            "quarantine, then correct the feed or its declaration."
        )


def quarantined(source: Source, checked: Checked) -> Quarantined:
    """Return how much of a checked delivery is quarantined, with its commonest reasons."""
    return Quarantined(
        source=source.name, read=checked.rows_read, quarantined=checked.broken.num_rows, commonest=checked.breaches
    )


def quarantine_alarm(source: Source, checked: Checked) -> str | None:
    """Return the sentence for a delivery of which more than the source's limit is quarantined; None for any other.

    To be called after all rows are written: the alarm ends the task, and no row may be lost by it.
    """
    return alarm_of(source, quarantined(source, checked))


def recorded_alarm(source: Source, counts: Iterable[Mapping[str, Any]]) -> str | None:
    """Return the alarm of a delivery that was ingested before, from its rows of the table ``ingests``: one for each part."""
    rows = list(counts)
    read, broken = (sum(int(row[name]) for row in rows) for name in ("rows_read", "rows_quarantined"))
    return alarm_of(source, Quarantined(source=source.name, read=read, quarantined=broken))


def joined(alarms: Sequence[str | None]) -> str:
    """Return the alarms of several sources as one text; empty for none."""
    return " ".join(alarm for alarm in alarms if alarm)


def alarm_of(source: Source, found: Quarantined) -> str | None:
    """Return the sentence for deliveries of which more than the source's limit is quarantined; None for any other."""
    return found.sentence if found.share > source.quarantine_limit else None


def _in_words(breach: Breach) -> str:
    return f"{breach.rows:,} rows like ({breach.example})"
