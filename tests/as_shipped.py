"""Runs the tests of the product as it is shipped: ``python tests/as_shipped.py pytest [OPTION ...]``.

A company's copy has settings and use cases of its own, and the tests of the product expect those that the product is shipped
with. So a copy whose files differ from `tests/shipped` is cloned into `build/as-shipped`, with what is not committed, the shipped
files in their places and without use cases of the company; the tests run there. In the product's own repository they run where
they are.
"""

import filecmp
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
SHIPPED = Path("tests", "shipped")
"""The files of a company as they are shipped, at their places below this folder."""
USE_CASES = Path("pipelines", "use_cases")
DECLARATION = "declaration.py"
EXAMPLES = frozenset(("air_time", "flight_delay", "next_visit"))
SETTINGS = Path("infra", "settings")
REPOSITORY = re.compile(r"(?m)^( +name: )\S+/\S+$")
"""Where the files of the pipelines name project and repository, which a company states too."""
COPY = Path("build", "as-shipped")
LENT = (".venv", "node_modules")
OWN_TESTS = Path("tests", "own")
"""Where a company keeps tests of its own use cases; no release writes there."""
SOMEBODY = ("-c", "user.name=tests", "-c", "user.email=tests@localhost")


def shipped_files(root: Path) -> list[Path]:
    """Return the files of a company that are shipped, by their places."""
    return sorted(file.relative_to(root / SHIPPED) for file in (root / SHIPPED).rglob("*") if file.is_file())


def own_files(root: Path) -> list[Path]:
    """Return what a copy has of its own: files that differ from the shipped ones, more settings, more use cases."""
    shipped = shipped_files(root)
    differing = [
        file
        for file in shipped
        if not (root / file).is_file() or not filecmp.cmp(root / file, root / SHIPPED / file, shallow=False)
    ]
    settings = [file.relative_to(root) for file in sorted((root / SETTINGS).glob("*.yaml"))]
    folders = [folder.relative_to(root) for folder in sorted((root / USE_CASES).iterdir()) if _is_own(folder)]
    removed = [USE_CASES / name for name in sorted(EXAMPLES) if not (root / USE_CASES / name / DECLARATION).is_file()]
    return [*differing, *(file for file in settings if file not in shipped), *folders, *removed]


def copy_as_shipped(root: Path, own: Iterable[Path]) -> Path:
    """Clone a copy with its uncommitted changes, put the shipped files in their places, and return the clone."""
    copy = root / COPY
    shutil.rmtree(copy, ignore_errors=True)
    copy.parent.mkdir(exist_ok=True)
    _git(root, "clone", "--quiet", "--no-tags", ".", str(copy))  # a tag of a company's is no version of the product
    for name in _git(root, "ls-files", "-z", "--modified", "--others", "--exclude-standard").split("\0"):
        if name:
            _bring(root / name, copy / name)
    for file in (*own, OWN_TESTS):
        _bring(root / SHIPPED / file, copy / file)
    for name in EXAMPLES:
        _bring_back(copy, USE_CASES / name)
    stated = yaml.safe_load((root / SHIPPED / SETTINGS / "account.yaml").read_text(encoding="utf-8"))["azure_devops"]
    for file in (copy / ".azuredevops").glob("*.yml"):
        text = file.read_text(encoding="utf-8")
        file.write_text(REPOSITORY.sub(rf"\g<1>{stated['project']}/{stated['repository']}", text), encoding="utf-8")
    _git(copy, "add", "--all")
    _git(copy, *SOMEBODY, "commit", "--quiet", "--allow-empty", "--message", "As shipped")
    (copy / ".git" / "info" / "exclude").write_text("".join(f"{name}\n" for name in LENT), encoding="utf-8")
    for name in LENT:
        if (root / name).exists():
            (copy / name).symlink_to((root / name).resolve())
    return copy


def main(words: list[str]) -> int:
    """Run the tests of the product as it is shipped, then those of the company where they are; 0 if both pass."""
    own = own_files(ROOT)
    if not own:
        os.execvp(words[0], words)  # noqa: S606 - the words are those of the Makefile
    interrupts: list[int] = []
    signal.signal(
        signal.SIGINT, lambda number, _: interrupts.append(number)
    )  # it reaches the tests too, which end by it
    print(
        f"the tests of the product run in {COPY}, as it is shipped, without what is your own: {', '.join(map(str, own))}. "
        "`infra check` and `pipelines check` look at your own.",
        flush=True,
    )
    copy = copy_as_shipped(ROOT, own)
    ended = subprocess.run(words, cwd=copy, env={**os.environ, "PYTHONPATH": str(copy)}, check=False).returncode
    if (ROOT / OWN_TESTS).exists() and not interrupts:
        ended = subprocess.run([words[0], str(OWN_TESTS)], cwd=ROOT, check=False).returncode or ended
    return ended


def _is_own(folder: Path) -> bool:
    return (folder / DECLARATION).is_file() and folder.name not in EXAMPLES


def _bring(source: Path, place: Path) -> None:
    """Make a file equal to another one; where that is not there, it is removed, and so is a folder."""
    if place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    if source.is_file():
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, place)


def _bring_back(copy: Path, folder: Path) -> None:
    """Give a clone the example that its company has deleted, as it was last."""
    if not (copy / folder / DECLARATION).is_file():
        last = _git(copy, "rev-list", "--max-count=1", "HEAD", "--", str(folder / DECLARATION)).strip()
        there = _git(copy, "ls-tree", "HEAD", str(folder / DECLARATION))
        _git(copy, "checkout", "--quiet", "HEAD" if there else f"{last}^", "--", str(folder))


def _git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
