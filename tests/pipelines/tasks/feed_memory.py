"""Prints by how many MiB the peak memory of a process grows while it ingests a feed: ``python -m tests... KIND PARTS``.

The feed is generated batch by batch, so that the process holds no more of it than the ingest does.
"""

import datetime as dt
import json
import resource
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from pipelines.execution.context import Context
from pipelines.lakehouse.lakehouse import open_lakehouse
from pipelines.sources import parts
from pipelines.tasks.data.ingest import ingest
from tests.pipelines.own_data_guide import parcels_module

BEGUN = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
ROWS = 4_000
"""Rows of a batch, and of a part."""


def batch(number: int) -> pa.RecordBatch:
    """Return one batch: parcels that nobody else has, with long names of depots."""
    rows = range(number * ROWS, (number + 1) * ROWS)
    return pa.record_batch(
        {
            "parcel": [f"p{row}" for row in rows],
            "accepted_at": [(BEGUN + dt.timedelta(seconds=row)).isoformat() for row in rows],
            "depot": [f"{row:02000d}" for row in rows],
            "kilograms": ["1.5"] * ROWS,
        }
    )


def peak() -> float:
    """Return the peak memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024


def main(kind: str, count: int) -> None:
    """Ingest one part, then the feed, and print sizes."""
    parts.PART_ROWS = ROWS
    feed = {"numbers": range(1)}
    size = [0]

    def large(*_: object) -> pa.Table | Iterator[pa.RecordBatch]:
        def batches() -> Iterator[pa.RecordBatch]:
            for number in feed["numbers"]:
                one = batch(number)
                size[0] += one.nbytes
                yield one

        return batches() if kind == "parts" else pa.Table.from_batches(batches())

    with parcels_module() as module, tempfile.TemporaryDirectory() as root:
        vars(module).update(large=large)
        spine = replace(module.USE_CASE.sources[0], reader="parcels:large")
        declared = replace(module.USE_CASE, sources=(spine, module.USE_CASE.sources[1]))
        (Path(root) / "deliveries.csv").write_text("parcel,delivered_at,depot,hours\n")
        with open_lakehouse("dev", root=Path(root) / "lakehouse") as lakehouse:
            for day, numbers in ((1, range(1)), (2, range(1, count + 1))):
                feed["numbers"] = numbers
                now, before = BEGUN + dt.timedelta(days=30 * day), peak()
                context = Context(lakehouse=lakehouse, use_case=declared, run_id=str(day), now=now, say=lambda _: None)
                size[0] = 0
                ingest(context, since=None, until=now, location=root)
            kept = lakehouse.tables.read(spine.table).count()
    print(json.dumps({"feed": size[0] / 2**20, "growth": peak() - before, "rows": kept}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
