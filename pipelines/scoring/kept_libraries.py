"""Keeps compiled trees between processes, so that a version is compiled once: a private folder, each file beside its digest.

What is kept here is executed, so nothing is taken that anybody else could have written: the folder and its files belong to this
user and nobody else may write them, and the content is that whose digest was noted when it was compiled.
"""

import hashlib
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

MOST_KEPT = 20
"""Versions whose trees are kept; those used longest ago go first."""
LIBRARY, DIGEST = ".so", ".sha256"
OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


class KeptLibraries:
    """The libraries in one folder, by the name of what they were compiled from."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, name: str) -> bytes | None:
        """Return a library that can be trusted; None if there is none."""
        if not self._folder.is_dir() or not _own_alone(self._folder.lstat(), stat.S_ISDIR):
            return None
        content, noted = (self._read(f"{name}{suffix}") for suffix in (LIBRARY, DIGEST))
        if content is None or noted is None or hashlib.sha256(content).hexdigest().encode() != noted:
            return None
        with suppress(OSError):
            os.utime(self._folder / f"{name}{LIBRARY}")
        return content

    def keep(self, name: str, content: bytes) -> None:
        """Keep a library, and let go of those used longest ago; where nothing can be kept, nothing is."""
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not _own_alone(self._folder.lstat(), stat.S_ISDIR):
                return
            self._write(f"{name}{LIBRARY}", content)
            self._write(f"{name}{DIGEST}", hashlib.sha256(content).hexdigest().encode())
            known = sorted(self._folder.glob(f"*{LIBRARY}"), key=lambda file: file.stat().st_mtime, reverse=True)
            for file in known[MOST_KEPT:]:
                file.unlink()
                file.with_suffix(DIGEST).unlink()

    def _read(self, name: str) -> bytes | None:
        """Return the content of a file that only this user can have written; what is opened is what is looked at."""
        try:
            with os.fdopen(os.open(self._folder / name, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
                return file.read() if _own_alone(os.fstat(file.fileno()), stat.S_ISREG) else None
        except OSError:
            return None

    def _write(self, name: str, content: bytes) -> None:
        """Write a file at once or not at all, also while another process does."""
        new = self._folder / f"{name}.{uuid4().hex}"
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
        new.replace(self._folder / name)


def _own_alone(found: os.stat_result, is_kind: Callable[[int], bool]) -> bool:
    return is_kind(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & OTHERS_MAY_WRITE
