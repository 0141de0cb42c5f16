"""The company that rehearses: a repository of its own with the settings of this one, and states in its storage accounts."""

import datetime as dt
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

STATES = ("account", "dev", "staging", "prod")
AGENT_ADDRESS = "203.0.113.10"
"""The public address from which the agents of the rehearsal come; the states are open to its range alone."""
RANGE = "203.0.113.0/24"
OWNER = "11111111-2222-4333-8444-555555555555"
"""The object id of the person who owns the subscriptions of the emulated cloud; dev's identity may not read names."""


def found_company(source: Path, folder: Path, places: Sequence[str]) -> Path:
    """Clone a repository without its uncommitted state and its tags, and give some places a state; return the clone.

    A tag ``v…`` of the product in the company's history would be taken for a release of the company's own (docs/forks.md).
    """
    tree = folder / "tree"
    _git(folder, "clone", "--quiet", "--no-hardlinks", "--no-tags", str(source), str(tree))
    _git(tree, "checkout", "--quiet", "-B", "main")
    _git(tree, "config", "user.name", "rehearsal")
    _git(tree, "config", "user.email", "rehearsal@localhost")
    lend_packages(source, tree)
    _add_holder(tree / "infra" / "ceilings.yaml")
    for place in places:
        _add_state(tree / "infra" / "settings" / f"{place}.yaml", place)
    commit(tree, "The states of Terraform")
    return tree


def lend_packages(source: Path, tree: Path) -> None:
    """Let a clone use the packages of another one, which Git does not see there: those of Python, and of npm where they are installed."""
    (tree / ".git" / "info" / "exclude").write_text(".venv\nnode_modules\n", encoding="utf-8")
    (tree / ".venv").symlink_to((source / ".venv").resolve())
    if (source / "node_modules").exists():
        (tree / "node_modules").symlink_to((source / "node_modules").resolve())


def _add_holder(file: Path) -> None:
    """Let the ceilings name the person who owns the subscriptions and makes the first states."""
    held = "azure_holders:\n"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(held, f"{held}  {OWNER}: [Owner, Storage Blob Data Contributor]\n"), encoding="utf-8")


def _add_state(file: Path, place: str) -> None:
    text = file.read_text(encoding="utf-8")
    settings = yaml.safe_load(text)
    organisation = yaml.safe_load((file.parent / "account.yaml").read_text(encoding="utf-8"))["organisation"]
    if "budget" in settings:  # Azure creates no budget that begins in an earlier month
        text = text.replace(f"first_month: {settings['budget']['first_month']}", f"first_month: {_this_month()}")
    prod = yaml.safe_load((file.parent / "prod.yaml").read_text(encoding="utf-8"))
    stated = {
        "subscription_id": settings.get("subscription_id") or prod["subscription_id"],
        "resource_group": f"rg-{organisation}-{place}-state", "storage_account": f"st{organisation}{place}state",
        "container": "terraform", "allowed_ip_ranges": [RANGE],
    }  # fmt: skip
    file.write_text(f"{text}{yaml.safe_dump({'state': stated}, sort_keys=False)}", encoding="utf-8")


def _this_month() -> str:
    return f"{dt.datetime.now(tz=dt.UTC):%Y-%m}"


def commit(tree: Path, message: str) -> str:
    """Commit every change and return the commit."""
    _git(tree, "add", "--all")
    _git(tree, "commit", "--quiet", "--allow-empty", "--message", message)
    return _git(tree, "rev-parse", "HEAD")


@contextmanager
def branch(tree: Path, name: str, *, anew: bool = True) -> Iterator[None]:
    """Stand on a new branch, or on one that is there, while the context lasts."""
    _git(tree, "checkout", "--quiet", *(("-B",) if anew else ()), name)
    try:
        yield
    finally:
        _git(tree, "checkout", "--quiet", "--force", "main")


def change(tree: Path, file: str, old: str, new: str) -> None:
    """Replace a text that stands once in a file of the repository."""
    path = tree / file
    text = path.read_text(encoding="utf-8")
    if text.count(old) != 1:
        raise ValueError(f"{file} holds {old!r} {text.count(old)} times, one is needed.")
    path.write_text(text.replace(old, new), encoding="utf-8")


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(  # noqa: S603 -- our own words
        [shutil.which("git") or "git", "-C", str(folder), *words], text=True, capture_output=True, check=True
    )
    return done.stdout.strip()
