"""Which column of one's own file says when an outcome became known, what a missing instant means, and which are no instants."""

from collections.abc import Iterable, Iterator, Mapping

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.scaffold.columns import FileColumn
from pipelines.scaffold.roles import Chosen, Roles


def known_at_of(
    roles: Roles, instants: Mapping[str, "pd.Series[pd.Timestamp]"], time: FileColumn, labels: "pd.Series[float]"
) -> Chosen | None:
    """Return the column with the instant from which an outcome was known; None if the file has none.

    A column that has instants for one value of the label alone says when that value became known: the other one is what
    is left when none has come. A value that cannot be read is there: its row is quarantined, and says nothing about others.
    """
    asked, rows = instants[time.name], roles.file.rows.num_rows
    later = [
        column for column in roles.columns
        if column is not time and column.is_instant and column.missing < rows
        and ((instants[column.name] >= asked) | instants[column.name].isna()).mean() >= 0.99
    ]  # fmt: skip
    if not later:
        return None
    one_sided = {column.name: _left_by(labels, pd.Series(pc.is_null(column.values).to_pylist())) for column in later}
    best = max(later, key=lambda column: (one_sided[column.name] is not None, (instants[column.name] - asked).mean()))
    others = ", ".join(repr(column.header) for column in later if column is not best)
    doubt = f"{others} may say when an outcome is known too: {best.header!r}, the latest, is taken." if others else ""
    without = one_sided[best.name]
    reason = f"{best.header!r} is the instant at which an outcome is known: it is never before the prediction."
    if without is not None:
        reason = f"{best.header!r} is the instant at which an outcome is known; it is missing for one value of the label alone."
        doubt = f"a request without {best.header!r} counts as {without:g} once it is due (without_outcome); is that what a missing one means?"
    return Chosen(columns=(best,), reason=reason, doubt=doubt, without=without)


def _left_by(labels: "pd.Series[float]", missing: "pd.Series[bool]") -> float | None:
    """Return the label that all rows without an instant have, and no row with one; None if there is none."""
    without, having = labels[missing].dropna().unique(), labels[~missing].dropna().unique()
    if len(without) == 1 and len(having) == 1 and without[0] != having[0]:
        return float(without[0])
    return None


def skipped_hours(
    columns: Iterable[FileColumn], instants: Mapping[str, "pd.Series[pd.Timestamp]"], zone: str
) -> Iterator[str]:
    """Yield a sentence for each column with instants that a zone does not have, or has twice.

    Parameters
    ----------
    instants
        The instants of each column, by its declared name: missing where a value is none.
    """
    for column in columns:
        if column.name not in instants:
            continue
        lost = instants[column.name].isna() & pd.Series(pc.is_valid(column.values).to_pylist())
        values = [value for value in column.values.filter(pa.array(lost)).to_pylist() if value not in column.kind.odd]
        if values:
            yield (
                f"{column.header!r} has {len(values):,} value{'s' if len(values) > 1 else ''} like {str(values[0])!r} that "
                f"{'are' if len(values) > 1 else 'is'} no instant in {zone}, where the clocks skip or repeat that hour: deliver "
                f"an offset, or the row is quarantined."
            )
