"""A tree is judged by another commit's checks, ceilings and waivers, and by nothing else of that commit."""

import subprocess
from pathlib import Path

import pytest

from infra.commands.review.judge import JUDGES, JudgeError, judge, judged_tree, judges_of, last_release
from infra.config.checks import CHECKS

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


def test_every_check_of_the_settings_is_among_what_judges() -> None:
    """Also the list of them: a check that a pull request leaves out of the list would judge nothing."""
    modules = {"infra.config.checks", *(check.__module__ for check in CHECKS)}
    assert {f"{module.replace('.', '/')}.py" for module in modules} <= set(JUDGES)


def test_a_base_that_lacks_one_of_the_places_judges_with_the_others(tmp_path: Path) -> None:
    """A place that was added later is no reason not to be judged; without ceilings nobody judges."""
    commit(tmp_path, "base", tuple(path for path in JUDGES if path != "infra/config/settings_ceilings.py") + OTHERS)
    commit(tmp_path, "changed", (*JUDGES, *OTHERS))
    assert set(judges_of("HEAD~1", tmp_path)) == {*JUDGES} - {"infra/config/settings_ceilings.py"}
    with judged_tree("HEAD~1", tmp_path) as tree:
        assert (tree / "infra/ceilings.yaml").read_text(encoding="utf-8") == "base"
        assert (tree / "infra/config/settings_ceilings.py").read_text(encoding="utf-8") == "changed"
    with pytest.raises(JudgeError, match="lacks"):
        judges_of("lacks", tmp_path)


def test_checks_that_do_not_work_with_the_tree_are_no_verdict(tmp_path: Path) -> None:
    """What could not be judged is refused with a reason of its own, and a way to go on."""
    commit(tmp_path, "base", (*JUDGES, *OTHERS))
    with pytest.raises(JudgeError, match=r"do not work with this tree: .* keep what they import"):
        judge("HEAD", tmp_path, [])


def test_the_last_release_is_read_from_a_file_that_is_missing_before_the_first_one_alone(tmp_path: Path) -> None:
    """Where the history has a release, a file that could not be fetched would otherwise leave the judge out."""
    commit(tmp_path, "base", OTHERS)
    file = tmp_path / "released"
    assert last_release(file, tmp_path) is None
    subprocess.run(["git", "tag", "v1"], cwd=tmp_path, check=True)
    with pytest.raises(JudgeError, match="the history has the release tag v1"):
        last_release(file, tmp_path)
    file.write_text("abc\n", encoding="utf-8")
    assert last_release(file, tmp_path) == "abc"
