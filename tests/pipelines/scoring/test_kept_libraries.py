"""What is kept to be executed is taken only if nobody else can have written it."""

import os
import stat
from pathlib import Path

import pytest

from pipelines.scoring import kept_libraries
from pipelines.scoring.kept_libraries import KeptLibraries

NAME = "a" * 64


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which one library is kept."""
    KeptLibraries(tmp_path / "kept").keep(NAME, b"code")
    return tmp_path / "kept"


def test_what_was_kept_is_found_and_is_private(folder: Path) -> None:
    """By its name, by another process as well; nobody else may read or write it."""
    assert KeptLibraries(folder).find(NAME) == b"code"
    assert KeptLibraries(folder).find("b" * 64) is None
    assert KeptLibraries(folder / "none").find(NAME) is None
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("which", [f"{NAME}.so", f"{NAME}.sha256", "."])
@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_what_others_may_write_is_not_taken(folder: Path, which: str, mode: int) -> None:
    """A file, what says its digest, or the folder."""
    file = folder / which
    file.chmod(mode | (0o100 if file.is_dir() else 0))
    assert KeptLibraries(folder).find(NAME) is None


def test_what_belongs_to_somebody_else_is_not_taken(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is anything kept in a folder of somebody else."""
    somebody = os.geteuid() + 1
    monkeypatch.setattr(kept_libraries.os, "geteuid", lambda: somebody)
    assert KeptLibraries(folder).find(NAME) is None
    KeptLibraries(folder).keep("b" * 64, b"other")
    assert len(list(folder.iterdir())) == 2


def test_a_link_is_not_followed(folder: Path, tmp_path: Path) -> None:
    """Wherever it leads."""
    (folder / f"{NAME}.so").rename(tmp_path / "elsewhere")
    (folder / f"{NAME}.so").symlink_to(tmp_path / "elsewhere")
    assert KeptLibraries(folder).find(NAME) is None


@pytest.mark.parametrize("content", [b"", b"cod", b"CODE"])
def test_another_content_than_was_noted_is_not_taken(folder: Path, content: bytes) -> None:
    """Torn or changed; it is compiled and kept again."""
    (folder / f"{NAME}.so").write_bytes(content)
    assert KeptLibraries(folder).find(NAME) is None
    KeptLibraries(folder).keep(NAME, b"code")
    assert KeptLibraries(folder).find(NAME) == b"code"


def test_those_used_longest_ago_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Being found is being used."""
    monkeypatch.setattr(kept_libraries, "MOST_KEPT", 2)
    kept = KeptLibraries(tmp_path / "kept")
    for place, name in enumerate("ab"):
        kept.keep(name, b"code")
        os.utime(tmp_path / "kept" / f"{name}.so", (place, place))
    assert kept.find("a") == b"code"
    kept.keep("c", b"code")
    assert [name for name in "abc" if kept.find(name)] == ["a", "c"]
    assert len(list((tmp_path / "kept").iterdir())) == 4


def test_where_nothing_can_be_kept_nothing_is(tmp_path: Path) -> None:
    """A file where the folder would be: it is compiled each time."""
    (tmp_path / "kept").write_text("")
    KeptLibraries(tmp_path / "kept").keep(NAME, b"code")
    assert KeptLibraries(tmp_path / "kept").find(NAME) is None
