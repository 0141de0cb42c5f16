"""The guide to releases: every exit code and name in it is real."""

import re
import shlex

from infra.build.release import ROOT, current_release
from infra.commands import COMMANDS
from infra.commands.release.apply import EXIT_CODES
from infra.config.loading import Settings
from infra.config.pipeline_names import PIPELINES
from infra.stacks.estate import stacks
from pipelines.declarations.registry import use_cases

GUIDE = (ROOT / "docs" / "releases.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^ *```bash\n(.*?)^ *```", GUIDE, flags=re.DOTALL | re.MULTILINE)
LINES = [line.strip() for text in BLOCKS for line in text.splitlines() if line.strip()]
OURS = [line for line in LINES if "-m infra" in line]


def test_the_guide_names_every_command_of_a_release() -> None:
    """In its blocks or in its sentences."""
    assert len(OURS) > 15
    named = set(re.findall(r"-m infra (\w+)", GUIDE))
    assert {"review", "comment", "plan", "kept", "apply", "rollback", "drift", "waivers", "devops", "wheel"} <= named
    assert named <= set(COMMANDS)


def test_every_other_command_is_of_terraform_or_cdktf_and_names_a_stack(settings: Settings) -> None:
    """Which exists: in its folder, or by its name after the variable that guards it."""
    others = [shlex.split(line) for line in LINES if line not in OURS and not line.startswith("export ")]
    names = {stack.name for stack in stacks(settings, use_cases(), current_release())}
    assert others
    for words in others:
        if words[0] == "terraform":
            assert words[1].removeprefix("-chdir=cdktf.out/stacks/") in names
        else:
            assert words[:3] == ["npx", "cdktf", "destroy"]
            assert words[3] in names


def test_the_exit_codes_are_those_of_the_command() -> None:
    """A row each, and 2 for what is refused."""
    table = GUIDE.partition("| exit code of `apply` |")[2].partition("\n\n")[0]
    assert {int(code) for code in re.findall(r"^\| (\d) \|", table, flags=re.MULTILINE)} == {2, *EXIT_CODES.values()}


def test_the_pipeline_that_the_guide_names_is_one() -> None:
    """And its file is there."""
    assert "`pull-request`" in GUIDE
    assert all((ROOT / path.lstrip("/")).exists() for path in PIPELINES.values())
