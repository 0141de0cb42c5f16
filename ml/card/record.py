"""The record of a model card: sections of sentences and tables, as text that needs no further knowledge to be shown."""

import json
from dataclasses import asdict, dataclass

from ml.spec.errors import LakehouseError

UNKNOWN = "not recorded"
"""What a card says of anything that no record states."""
UNDEFINED = "not defined"
"""What a card says of a figure that so few rows, or rows of one class, do not have."""


class CardError(LakehouseError, ValueError):
    """A text that is no stored model card."""


@dataclass(frozen=True, kw_only=True)
class CardTable:
    """A table of a section; every row has as many texts as there are columns."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Whether each column has numbers, which a page aligns at their ends; one that is not recorded is none."""
        columns = ([row[place] for row in self.rows] for place in range(len(self.columns)))
        return tuple(
            _are_numbers([text for text in column if text not in ("", UNKNOWN, UNDEFINED)]) for column in columns
        )


@dataclass(frozen=True, kw_only=True)
class CardSection:
    """One section: sentences, then tables."""

    heading: str
    sentences: tuple[str, ...] = ()
    tables: tuple[CardTable, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """The card of one version, as of the decision of the gate.

    Attributes
    ----------
    decided_at
        ISO 8601; the card of one decision is always the same.
    """

    model: str
    version: int
    environment: str
    evaluation_id: str
    decided_at: str
    sections: tuple[CardSection, ...]

    @property
    def title(self) -> str:
        """The heading of the card."""
        return f"{self.model}, version {self.version}"

    def section(self, heading: str) -> CardSection:
        """Return one section by its heading.

        Raises
        ------
        KeyError
            If the card has none.
        """
        for section in self.sections:
            if section.heading == heading:
                return section
        raise KeyError(f"no section {heading!r} among {[section.heading for section in self.sections]}.")

    def to_json(self) -> str:
        """Return the card as one line of JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "ModelCard":
        """Return the card that `to_json` wrote.

        Raises
        ------
        CardError
            If the text is not such a card.
        """
        try:
            stored = json.loads(text)
            return cls(**{**stored, "sections": tuple(_section(one) for one in stored["sections"])})
        except (KeyError, TypeError, ValueError) as error:
            raise CardError(f"this is not a stored model card ({error!r}): run the task model_card again.") from error


def _are_numbers(texts: list[str]) -> bool:
    return bool(texts) and all(map(_is_number, texts))


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", ""))
    except ValueError:
        return False
    return text[-1:].isdigit()


def _section(values: dict[str, list[dict[str, str]]]) -> CardSection:
    tables = tuple(
        CardTable(
            caption=one["caption"], columns=tuple(one["columns"]), rows=tuple(tuple(row) for row in one["rows"])
        )
        for one in values["tables"]
    )  # fmt: skip
    return CardSection(
        heading=str(values["heading"]), sentences=tuple(str(one) for one in values["sentences"]), tables=tables
    )
