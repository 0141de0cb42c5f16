"""The wheel is built once from a commit, the same bytes every time, and is the same in every environment."""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.build.release import ROOT, UNKNOWN_COMMIT, current_commit, current_release, wheel_version
from infra.build.reproducible_wheel import WheelBuildError, build_wheel, has_uncommitted_changes, pack_uncompressed
from infra.build.versioning import stated_version
from infra.config.checks import load_settings
from infra.constructs.release import Release
from infra.stacks.estate import stacks
from pipelines.declarations.registry import use_cases

UV = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
needs_uv = pytest.mark.skipif(UV is None, reason="uv is not installed: the wheel cannot be built")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A clone of this repository, so that a build leaves nothing in the tree."""
    folder = tmp_path_factory.mktemp("clone") / "repository"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def built(clone: Path) -> Release:
    """The wheel of the clone's commit."""
    return build_wheel(clone)


@needs_uv
def test_the_same_commit_gives_the_same_bytes(clone: Path, built: Release) -> None:
    """A later build next to uncommitted changes gives the same hash."""
    (clone / "ml" / "__init__.py").write_text("changed = True\n", encoding="utf-8")
    assert has_uncommitted_changes(clone)
    Path(built.wheel_path).unlink()
    assert build_wheel(clone).sha256 == built.sha256


@needs_uv
def test_another_folder_at_another_time_gives_the_same_bytes(
    built: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a clone elsewhere whose files are ten years old, in another time zone and with other rights on new files."""
    elsewhere = tmp_path / "somewhere" / "else"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(elsewhere)], check=True)
    subprocess.run(["git", "checkout", "--quiet", "--detach", built.commit], cwd=elsewhere, check=True)
    for path in (elsewhere / "ml").rglob("*.py"):
        os.utime(path, (1_400_000_000, 1_400_000_000))
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    mask = os.umask(0o077)
    try:
        assert build_wheel(elsewhere, expect=built.sha256).sha256 == built.sha256
    finally:
        os.umask(mask)


@needs_uv
def test_nothing_in_the_wheel_is_compressed(built: Release, tmp_path: Path) -> None:
    """So its bytes depend on no version of zlib: the same entries, compressed as hard as possible, give the same wheel."""
    with zipfile.ZipFile(built.wheel_path) as packed:
        assert {entry.compress_type for entry in packed.infolist()} == {zipfile.ZIP_STORED}
        other = tmp_path / "other.whl"
        with zipfile.ZipFile(other, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as deflated:
            for entry in packed.infolist():
                deflated.writestr(entry, packed.read(entry), zipfile.ZIP_DEFLATED)
    assert other.read_bytes() != Path(built.wheel_path).read_bytes()
    pack_uncompressed(other, tmp_path / built.wheel)
    assert (tmp_path / built.wheel).read_bytes() == Path(built.wheel_path).read_bytes()


@needs_uv
def test_a_wheel_that_is_not_the_expected_one_is_refused_and_removed(clone: Path, built: Release) -> None:
    """No deployment can find it in dist."""
    with pytest.raises(WheelBuildError, match=f"has sha256 {built.sha256}, but {'0' * 64} is expected: it is removed"):
        build_wheel(clone, expect="0" * 64)
    assert not Path(built.wheel_path).exists()
    assert build_wheel(clone, expect=built.sha256) == built


@needs_uv
def test_the_file_name_says_version_and_commit(clone: Path, built: Release) -> None:
    """The name of the file in a volume states its commit."""
    commit = current_commit(clone)
    version = stated_version((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert built.wheel == f"lakehouse_mlops-{version}+g{commit[:12]}-py3-none-any.whl"
    assert built.commit == commit


@needs_uv
def test_the_wheel_holds_the_code_the_entry_point_and_nothing_of_the_infrastructure(built: Release) -> None:
    """What runs on a cluster, and no more."""
    with zipfile.ZipFile(built.wheel_path) as packed:
        names = packed.namelist()
        entry_points = next(name for name in names if name.endswith("entry_points.txt"))
        assert "lakehouse-mlops = pipelines.__main__:main" in packed.read(entry_points).decode()
    assert "pipelines/__main__.py" in names
    for folder in ("pipelines/report/templates", "pipelines/scaffold/templates"):
        files = {file.relative_to(ROOT).as_posix() for file in (ROOT / folder).rglob("*") if file.is_file()}
        assert files
        assert {file for file in files if "__pycache__" not in file} <= set(names)
    assert {name.split("/")[0] for name in names} == {
        "ml",
        "pipelines",
        f"lakehouse_mlops-{wheel_version(built.commit)}.dist-info",
    }


@needs_uv
def test_every_environment_gets_the_same_wheel(built: Release) -> None:
    """One file, one hash, three volumes."""
    planned = {s.name: s for s in stacks(load_settings(), use_cases(), built) if s.name.endswith("workspace")}
    assert len(planned) == 3
    assert {stack.outputs["wheel_sha256"] for stack in planned.values()} == {built.sha256}
    sources = {stack.resources["databricks_file.wheel"].arguments["source"] for stack in planned.values()}
    assert len(sources) == 1
    path = Path(built.wheel_path).parent / sources.pop().rpartition("/")[2]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == built.sha256


def test_a_folder_without_history_gives_no_wheel(tmp_path: Path) -> None:
    """The wheel is built from a commit."""
    assert current_commit(tmp_path) == UNKNOWN_COMMIT
    with pytest.raises(WheelBuildError, match="is not a git repository"):
        build_wheel(tmp_path)


def test_a_wheel_that_is_not_built_has_no_hash(clone: Path) -> None:
    """The stacks then say which file is meant, and Terraform misses it at apply."""
    shutil.rmtree(clone / "dist", ignore_errors=True)
    assert current_release(clone).sha256 is None
