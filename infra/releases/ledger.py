"""Stores the records of an environment's releases next to its Terraform state, with the same identity.

With a local state that is a file; with a remote state it is a blob in the container of the state, reached with the Azure
command line and the Entra identity that is signed in. An append is refused if the blob has changed since it was read.
"""

import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from infra.config.model import StateStorage
from infra.releases.record import ReleaseRecord, as_line, read_records
from infra.terraform_cli.known_errors import remedy
from ml.spec.errors import NotPossibleError

Az = Callable[[Sequence[str]], str]
"""Runs ``az`` with arguments and returns what it printed; raises `LedgerError` if it failed."""


class LedgerError(NotPossibleError):
    """The Azure command line failed or is missing; the message has the cause and the remedy."""


class Ledger(Protocol):
    """The records of one environment."""

    def read(self) -> tuple[ReleaseRecord, ...]:
        """Return every record, oldest first."""

    def append(self, record: ReleaseRecord) -> None:
        """Add one record at the end."""


@dataclass(frozen=True, kw_only=True)
class FileLedger:
    """Records in a file, for a local state."""

    path: Path

    def read(self) -> tuple[ReleaseRecord, ...]:
        """Return every record; none before the first release."""
        return read_records(self.path.read_text(encoding="utf-8")) if self.path.exists() else ()

    def append(self, record: ReleaseRecord) -> None:
        """Add a line, as a whole or not at all, on the disk when this returns."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = as_line(record).encode()
        with self.path.open("ab", buffering=0) as lines:
            before = lines.tell()
            try:
                while line:
                    line = line[lines.write(line) :]
                os.fsync(lines.fileno())
            except OSError:
                lines.truncate(before)
                raise


def run_az(arguments: Sequence[str]) -> str:
    """Run the Azure command line.

    Raises
    ------
    LedgerError
        If it is not installed or fails.
    """
    try:
        # In a session of its own: Ctrl-C of a terminal would end it in the middle of a record.
        done = subprocess.run(["az", *arguments], capture_output=True, text=True, check=False, start_new_session=True)  # noqa: S603, S607 # our own arguments
    except FileNotFoundError as error:
        raise LedgerError(
            "the Azure command line `az` is not installed: install it and sign in with `az login`."
        ) from error
    if done.returncode != 0:
        what = " ".join(["az", *arguments[:3]])
        raise LedgerError(f"{what} failed: {remedy(done.stderr) or done.stderr.strip()}")
    return done.stdout.strip()


@dataclass(frozen=True, kw_only=True)
class BlobLedger:
    """Records in a blob of the state's container."""

    state: StateStorage
    environment: str
    az: Az = run_az

    def read(self) -> tuple[ReleaseRecord, ...]:
        """Return every record; none before the first release."""
        return read_records(self._download()) if self._etag() else ()

    def append(self, record: ReleaseRecord) -> None:
        """Add a line, unless the blob has changed since it was read."""
        etag = self._etag()
        text = (self._download(etag) if etag else "") + as_line(record)
        condition = ("--if-match", etag, "--overwrite", "true") if etag else ("--if-none-match", "*")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "records.jsonl"
            path.write_text(text, encoding="utf-8")
            self.az(self._blob("upload", "--file", str(path), "--no-progress", "--only-show-errors", *condition))

    def _etag(self) -> str:
        """Return the version of the blob; empty if there is none."""
        if self.az(self._blob("exists", "--query", "exists", "--output", "tsv")).lower() != "true":
            return ""
        return self.az(self._blob("show", "--query", "properties.etag", "--output", "tsv")).strip('"')

    def _download(self, etag: str = "") -> str:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "records.jsonl"
            condition = ("--if-match", etag) if etag else ()
            self.az(self._blob("download", "--file", str(path), "--no-progress", "--only-show-errors", *condition))
            return path.read_text(encoding="utf-8")

    def _blob(self, action: str, *options: str) -> tuple[str, ...]:
        where = (
            "--subscription", self.state.subscription_id, "--account-name", self.state.storage_account,
            "--container-name", self.state.container, "--name", f"releases/{self.environment}.jsonl",
            "--auth-mode", "login",
        )  # fmt: skip
        return ("storage", "blob", action, *where, *options)


def ledger_of(environment: str, state: StateStorage | None, folder: Path) -> Ledger:
    """Return where an environment's records are.

    Parameters
    ----------
    state
        Where the settings say that Terraform's state is; None for the local disk.
    folder
        The folder of local states.
    """
    if state is None:
        return FileLedger(path=folder / f"releases.{environment}.jsonl")
    return BlobLedger(state=state, environment=environment)
