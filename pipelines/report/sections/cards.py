"""The model cards, as the report shows them: of each version the one of the newest decision."""

from ml.card.record import ModelCard
from pipelines.report.records import EnvironmentRecords, Row


def model_cards(environment: EnvironmentRecords) -> tuple[ModelCard, ...]:
    """Return the newest card of each version, the newest version first."""
    newest: dict[int, Row] = {}
    for row in sorted(environment.model_cards, key=lambda row: row["decided_at"]):
        newest[row["model_version"]] = row
    return tuple(ModelCard.from_json(newest[number]["card"]) for number in sorted(newest, reverse=True))
