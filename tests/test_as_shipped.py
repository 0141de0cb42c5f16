"""The tests of the product run as it is shipped, whatever a company has stated and added in its copy."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.as_shipped import COPY, EXAMPLES, ROOT, SHIPPED, USE_CASES, copy_as_shipped, own_files, shipped_files
from tests.infra.releases.copies import git, own_patterns

ACCOUNT = Path("infra", "settings", "account.yaml")
OF_A_COMPANY = (
    ("mrd", "acm"), ("westeurope", "northeurope"), ("meridian-air", "acme"), ("project: lakehouse", "project: data"),
    ("repository: lakehouse", "repository: mlops"), ("lakehouse/lakehouse", "data/mlops"),
)  # fmt: skip
"""What a company replaces in its settings, its ceilings, its waivers and the files of the pipelines."""


def organisation(file: Path) -> str:
    """Return the short name of the company that settings of the account are of."""
    return str(yaml.safe_load(file.read_text(encoding="utf-8"))["organisation"])


def test_the_shipped_files_are_those_of_this_repository() -> None:
    """Where the product is developed, a change of one is a change of both; in a copy the company's own files differ."""
    if os.environ.get("REWRITE_GOLDEN"):
        for file in shipped_files(ROOT):
            shutil.copy(ROOT / file, ROOT / SHIPPED / file)
    if organisation(ROOT / ACCOUNT) != organisation(ROOT / SHIPPED / ACCOUNT):
        pytest.skip("the settings are of a company")
    assert own_files(ROOT) == []


def test_every_file_of_a_company_is_among_the_shipped_ones() -> None:
    """What docs/forks.md gives to the company, and the ceilings, which it shares with the product."""
    given = {name for pattern in own_patterns() for name in git(ROOT, "ls-files", "--", pattern).split()}
    assert {str(file) for file in shipped_files(ROOT)} == {*given, "infra/ceilings.yaml"}
    assert {folder.parent.name for folder in (ROOT / USE_CASES).glob("*/declaration.py")} >= EXAMPLES


@pytest.fixture
def company(tmp_path: Path) -> Path:
    """A copy with settings, a use case and tests of its own, a tag, and changes that nobody committed."""
    copy = tmp_path / "our copy"
    git(tmp_path, "clone", "-q", str(ROOT), str(copy))
    for file in (*(copy / "infra").rglob("*.yaml"), *(copy / ".azuredevops").glob("*.yml")):
        if "settings" in file.parts or file.name in ("ceilings.yaml", "waivers.yaml") or file.suffix == ".yml":
            text = file.read_text(encoding="utf-8")
            for shipped, own in OF_A_COMPANY:
                text = text.replace(shipped, own)
            file.write_text(text, encoding="utf-8")
    shutil.rmtree(copy / USE_CASES / "next_visit")
    _made(copy / USE_CASES / "parcels" / "declaration.py").write_text("raise RuntimeError\n", encoding="utf-8")
    git(copy, "add", ".")
    git(copy, "commit", "-q", "-m", "Ours")
    git(copy, "tag", "v7.1")
    _made(copy / "tests" / "own" / "test_ours.py").write_text("def test_ours():\n    assert True\n", encoding="utf-8")
    (copy / "docs" / "words.md").unlink()
    (copy / ".venv").symlink_to(Path(sys.prefix))
    return copy


def _made(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


def test_what_is_a_companys_own_is_left_out_and_all_else_is_tested_as_it_is(company: Path) -> None:
    """The shipped files stand in their places; what nobody committed is there, what was removed is not, and no tag of the company's."""
    own = own_files(company)
    assert {ACCOUNT, Path("infra", "ceilings.yaml"), USE_CASES / "parcels"} <= set(own)
    copy = copy_as_shipped(company, own)
    assert own_files(copy) == []
    assert not (copy / USE_CASES / "parcels").exists()
    assert git(copy, "diff", "HEAD~2", "--", str(USE_CASES)) == ""  # the deleted example is there again
    assert not (copy / "tests" / "own").exists()
    assert not (copy / "docs" / "words.md").exists()
    assert "lakehouse/lakehouse" in (copy / ".azuredevops" / "release.yml").read_text(encoding="utf-8")
    assert git(copy, "tag", "--list").split() == []
    assert git(copy, "status", "--short") == ""
    assert organisation(company / ACCOUNT) == "acm"


def test_the_tests_of_the_product_pass_in_a_companys_copy(company: Path) -> None:
    """Some that know the shipped settings, as `make test` runs them; then the company's own, where they are."""
    words = [
        ".venv/bin/pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests/azuredevops/test_judges.py",
        "tests/infra/config/test_settings.py",
    ]
    done = subprocess.run(
        [sys.executable, "tests/as_shipped.py", *words], cwd=company, env={**os.environ, "PYTHONPATH": str(company)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    said, _, rest = done.stdout.partition("\n")
    assert f"run in {COPY}, as it is shipped, without what is your own: " in said
    assert "pipelines/use_cases/parcels" in said
    assert rest.count("[100%]") == 2


WAITS = (
    "import sys, time\n"
    "try:\n"
    "    print('ready', flush=True)\n"
    "    time.sleep(60)\n"
    "except KeyboardInterrupt:\n"
    "    print('ended')\n"
    "    sys.exit(2)\n"
)
"""In the place of the tests: waits for Ctrl-C, and says how it ends."""


@pytest.mark.parametrize("own", [False, True], ids=["of the product", "of a company"])
def test_ctrl_c_ends_the_tests_and_nothing_is_said_beside_what_they_say(
    own: bool, request: pytest.FixtureRequest
) -> None:
    """Nor do a company's own tests begin then."""
    root: Path = request.getfixturevalue("company") if own else ROOT
    if not own and own_files(ROOT):
        pytest.skip("the settings are of a company")
    process = subprocess.Popen(
        [sys.executable, "tests/as_shipped.py", sys.executable, "-c", WAITS], cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert process.stdout is not None
    while process.stdout.readline() not in ("ready\n", ""):
        pass
    os.killpg(process.pid, signal.SIGINT)
    said, complaint = process.communicate(timeout=60)
    assert (process.returncode, said, complaint) == (2, "ended\n", "")
