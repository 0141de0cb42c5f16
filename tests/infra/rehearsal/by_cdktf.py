"""Lines of a page as a shell goes through them in a rehearsal, with the real cdktf command line where it is installed."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from infra.build.release import ROOT

CDKTF = ROOT / "node_modules" / ".bin" / "cdktf"
BY_CDKTF = re.compile(r"^npx cdktf ")
ANSWERED: Mapping[str, str] = {"deploy": " --auto-approve", "destroy": " --auto-approve", "diff": "", "output": ""}
"""Command to the option that approves its plan, as a person does at the prompt."""
FROM_A_MIRROR = " --skip-provider-lock"
"""The providers of a rehearsal are in no registry that knows their hashes for other systems."""
LACKING = (
    "" if CDKTF.exists() and shutil.which("npx") else "the documented lines `npx cdktf …` are not run: `npm ci` has not been run here, or there is no `npx`"
)  # fmt: skip
"""Why no line of the cdktf command line is run; empty if they are."""


def answered(line: str) -> str:
    """Return a line with what a person would answer, if it is one of the cdktf command line."""
    if not BY_CDKTF.search(line):
        return line
    return f"{line}{ANSWERED[line.split()[2]]}{FROM_A_MIRROR}"


def run_after(
    exports: list[str], line: str, folder: Path, variables: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a line in a folder after the lines before it that set variables, as they stand on their page."""
    given = {**variables, "CI": "1", "FORCE_COLOR": "0", "npm_config_update_notifier": "false"}
    script = "\n".join([*exports, answered(line)])
    return subprocess.run(["sh", "-c", script], cwd=folder, env=given, capture_output=True, text=True, check=False)
