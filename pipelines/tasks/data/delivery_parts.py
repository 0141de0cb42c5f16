"""A delivery that is a data frame comes in parts: the engine gives the rows of one bucket of keys after the other."""

import math
from collections.abc import Iterator, Sequence

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from pipelines.sources import parts


def frame_parts(rows: DataFrame, key: Sequence[str], part_rows: int | None = None) -> Iterator[pa.Table]:
    """Yield the rows of a data frame as tables of about so many rows; rows of one key are in one of them.

    A part is the same table whenever the same rows are asked for, in whatever order the engine has them. The data frame is
    computed once for each part.

    Parameters
    ----------
    key
        The columns that no two rows should share; empty for all columns.
    part_rows
        By default `pipelines.sources.parts.PART_ROWS`.
    """
    count = max(math.ceil(rows.count() / (part_rows or parts.PART_ROWS)), 1)
    names = [name for name in key if name in rows.columns] or rows.columns
    bucket = F.pmod(F.hash(*names), F.lit(count))
    for part in range(count):
        found = rows.where(bucket == part).toArrow()
        yield found.sort_by([(name, "ascending") for name in found.column_names])
