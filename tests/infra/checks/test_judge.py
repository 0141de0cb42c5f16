"""A tree is judged by another commit's checks, ceilings and waivers, and by nothing else of that commit."""

import subprocess
from pathlib import Path

import pytest

from infra.checks.judge import JUDGES, JudgeError, judged_tree

ROOT = Path(__file__).parents[3]
OTHERS = ("infra/settings/prod.yaml", "pipelines/x.py", "ml/x.py", "infra/config/model.py")


def commit(root: Path, word: str, paths: tuple[str, ...]) -> None:
    """Write a word into files and commit them."""
    for path in paths:
        file = root / path if "." in Path(path).name else root / path / "rule.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(word, encoding="utf-8")
    identity = ["-c", "user.name=x", "-c", "user.email=x@x.example"]
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    subprocess.run(["git", "add", "--all"], cwd=root, check=True)
    subprocess.run(["git", *identity, "commit", "--quiet", "--message", word], cwd=root, check=True)


def test_what_judges_is_the_base_s_and_what_is_judged_is_the_tree_s(tmp_path: Path) -> None:
    """A pull request that loosens a check, a ceiling or a waiver is judged as if it had not."""
    commit(tmp_path, "base", (*JUDGES, *OTHERS))
    commit(tmp_path, "changed", (*JUDGES, *OTHERS))
    (tmp_path / "infra/checks/added.py").write_text("changed", encoding="utf-8")
    with judged_tree("HEAD~1", tmp_path) as tree:
        found = {str(file.relative_to(tree)): file.read_text("utf-8") for file in tree.rglob("*") if file.is_file()}
    judges = {path if "." in Path(path).name else f"{path}/rule.py" for path in JUDGES}
    assert {name for name, text in found.items() if text == "base"} == judges
    assert {name for name, text in found.items() if text == "changed"} == set(OTHERS)
    assert not tree.exists()


def test_a_base_without_ceilings_judges_nothing(tmp_path: Path) -> None:
    """That is said in a sentence, and never taken for a pass."""
    commit(tmp_path, "base", OTHERS)
    with pytest.raises(JudgeError, match="cannot judge this tree"), judged_tree("HEAD", tmp_path):
        pass


def test_everything_that_judges_is_there_and_is_named() -> None:
    """A check that moved out of these places would be judged by the pull request itself."""
    assert all((ROOT / path).exists() for path in JUDGES)


def test_the_pipeline_of_a_pull_request_judges_it_by_the_target_branch() -> None:
    """Beside the checks of the tree itself, which must hold as well."""
    text = (ROOT / ".azuredevops/pull-request.yml").read_text(encoding="utf-8")
    assert ".venv/bin/python -m infra check --skip-checkov --judged-by $(base)" in text
    assert ".venv/bin/python -m infra check --plans" in text
