"""How an environment receives a source: as it is, redacted before anything is stored, or made up without reading it."""

import datetime as dt
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from ml.spec.entries import load
from pipelines.declarations.environment_data import DataKind, EnvironmentData
from pipelines.declarations.source import Source
from pipelines.execution.context import Context, TaskError
from pipelines.sources.contract import Checked, check
from pipelines.sources.deliveries import digest
from pipelines.sources.redaction import redact


@dataclass(frozen=True, kw_only=True)
class Receiving:
    """One source in one environment.

    Attributes
    ----------
    data
        What the environment receives of it.
    key
        With which it hashes; empty where it hashes nothing.
    """

    source: Source
    data: EnvironmentData
    key: bytes = b""

    def read(self, location: str, since: dt.datetime, until: dt.datetime) -> Any:
        """Return what the reader delivers of a window, or what the generator of synthetic rows makes."""
        if self.data.kind is DataKind.SYNTHETIC:
            return load(self.data.generator)(since, until)
        with self._unspoken():
            return load(self.source.reader)(location, since, until)

    def private(self, parts: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """Yield the parts of a delivery; what a reader says when it fails in the midst is not told, if values may be in it."""
        rest = iter(parts)
        while True:
            with self._unspoken():
                part = next(rest, None)
            if part is None:
                return
            yield part

    def checked(self, delivery: pa.Table) -> tuple[Checked, str]:
        """Return a delivery as checked and redacted, with a digest of its rows: of those that may be stored alone."""
        checked = check(delivery, self.source, hidden=self.data.hidden)
        if self.data.kind is not DataKind.REDACTED:
            return checked, digest(delivery)
        kept = redact(checked.kept, {one.column: one for one in self.data.redactions}, self.key)
        checked = replace(checked, kept=kept)
        return checked, digest(pa.table({"parts": [digest(kept), digest(checked.broken)]}))

    @contextmanager
    def _unspoken(self) -> Iterator[None]:
        """Let an error of the reader name its kind only: its message may hold values, and errors are recorded."""
        if not self.data.hidden:
            yield
            return
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever a reader raises
            kind = type(error).__name__
        else:
            return
        raise TaskError(
            f"the reader of source {self.source.name} failed with {kind}; what it said is left out, because it may hold values "
            "that this environment must not have. Run it where the data may be seen."
        )


def receiving_of(source: Source, context: Context, key: bytes) -> Receiving:
    """Return how the environment of a run receives a source."""
    return Receiving(source=source, data=source.data_in(context.lakehouse.environment.name), key=key)
