"""The files around the code name what exists: licence, changes, owners, editor settings, hooks."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from infra.build.release import current_release
from infra.build.versioning import VERSION, tag_mistakes

ROOT = Path(__file__).parent.parent
VERSION_TAG = re.compile(f"v{VERSION.pattern}")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_licence_is_the_one_that_the_package_states() -> None:
    """Apache 2.0, whole."""
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert PROJECT["license"] == "Apache-2.0"
    assert "Apache License" in text.splitlines()[1]
    assert "END OF TERMS AND CONDITIONS" in text


def test_the_changes_have_a_section_for_the_version_of_the_package() -> None:
    """And one for what is not released yet, above it."""
    sections = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sections[0] == "Unreleased"
    assert PROJECT["version"] in sections


def test_every_tag_of_a_version_is_on_a_commit_that_states_it() -> None:
    """In pyproject.toml and in the changes; a repository without tags has nothing to compare."""
    wrong = []
    for tag in filter(VERSION_TAG.fullmatch, git("tag", "--list").split()):
        wrong += tag_mistakes(
            tag, project=git("show", f"{tag}:pyproject.toml"), changes=git("show", f"{tag}:CHANGELOG.md")
        )
    assert wrong == []


def test_a_tagged_commit_says_its_version_everywhere() -> None:
    """Both command lines, the name of the wheel and the tag; a commit without a tag of a version has none to compare."""
    tags = [tag for tag in git("tag", "--list", "--points-at", "HEAD").split() if VERSION_TAG.fullmatch(tag)]
    if not tags:
        pytest.skip("this commit has no tag of a version")
    said = {words: run(*words) for words in (("infra", "version"), ("infra", "--version"), ("pipelines", "--version"))}
    assert tags == [f"v{PROJECT['version']}"]
    assert said["infra", "version"].strip() == PROJECT["version"]
    assert f" {PROJECT['version']} (" in said["infra", "--version"]
    assert f" {PROJECT['version']} (" in said["pipelines", "--version"]
    assert f"-{PROJECT['version']}+g" in current_release().wheel


def run(*words: str) -> str:
    """Return what a command line of this repository prints."""
    command = [sys.executable, "-m", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def git(*words: str) -> str:
    """Return what git prints in this repository."""
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_owners_are_of_paths_that_exist() -> None:
    """A folder or file that moves takes its owner along."""
    lines = (ROOT / "CODEOWNERS").read_text(encoding="utf-8").splitlines()
    rules = [line.split() for line in lines if line and not line.startswith("#")]
    assert rules
    for path, *owners in rules:
        place = ROOT / path.strip("/")
        assert path == "*" or (place.is_dir() if path.endswith("/") else place.is_file()), path
        assert owners
        assert all(owner.startswith("@") for owner in owners)


def test_hooks_run_programs_that_the_set_up_installs() -> None:
    """The quick half of `make check`, word for word."""
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").replace("$(BIN)/", ".venv/bin/")
    for hook in hooks:
        assert hook["entry"].removeprefix("env PYTHONPATH=. ").removesuffix(" --check") in recipe


def test_the_set_up_installs_what_starts_the_hooks() -> None:
    """The guide names the program where `make setup` has put it."""
    locked = (ROOT / "requirements" / "dev.txt").read_text(encoding="utf-8").splitlines()
    assert any(line.startswith("pre-commit==") for line in locked)
    for page in ("CONTRIBUTING.md", ".pre-commit-config.yaml"):
        assert "`.venv/bin/pre-commit install`" in (ROOT / page).read_text(encoding="utf-8")


def test_editors_check_the_settings_by_their_schemas() -> None:
    """Every schema and every settings file that is named exists, and every settings file has its schema."""
    stated = json.loads((ROOT / ".vscode" / "settings.json").read_text(encoding="utf-8"))["yaml.schemas"]
    files = {name for names in stated.values() for name in ([names] if isinstance(names, str) else names)}
    assert all((ROOT / name).is_file() for name in (*stated, *files))
    assert files == {f"infra/settings/{file.name}" for file in (ROOT / "infra" / "settings").glob("*.yaml")}
