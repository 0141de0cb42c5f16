"""A delivery that is larger than memory comes in parts: tables of a stated number of rows, one after the other."""

from collections.abc import Iterable, Iterator

import pyarrow as pa

PART_ROWS = 250_000
"""Rows that are checked, compared and written at once."""


def parts_of(batches: Iterable[pa.RecordBatch | pa.Table], rows: int | None = None) -> Iterator[pa.Table]:
    """Yield the rows of batches, in their order, as tables of so many rows; the last one may have fewer.

    Parameters
    ----------
    batches
        Of one schema and any sizes; each is asked for only when the parts before it have been taken.
    rows
        By default `PART_ROWS`.
    """
    rows = rows or PART_ROWS
    held: list[pa.Table] = []
    count = 0
    for batch in batches:
        table = batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch])
        while table.num_rows:
            taken = table.slice(0, rows - count)
            held.append(taken)
            count += taken.num_rows
            table = table.slice(taken.num_rows)
            if count == rows:
                yield pa.concat_tables(held)
                held, count = [], 0
    if held:
        yield pa.concat_tables(held)
