"""A copy of the repository in which a test works as a data team does: it makes a use case and runs commands."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
EXAMPLES = tuple(sorted(file.parent.name for file in (ROOT / "pipelines" / "use_cases").glob("*/__init__.py")))


class RepositoryCopy:
    """The files that git knows, in a folder of their own.

    Attributes
    ----------
    folder
        Root of the copy.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listed = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, text=True)
        for name in filter(lambda name: (ROOT / name).is_file(), listed.splitlines()):
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())

    def python(self, *words: str, code: int = 0) -> str:
        """Run ``python -m`` in the copy and return what it printed.

        Raises
        ------
        AssertionError
            If it ended with another exit code.
        """
        variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
        done = subprocess.run(
            [sys.executable, "-m", *words], cwd=self.folder, env={**variables, "PYTHONPATH": str(self.folder)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == code, f"{words} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def commit(self) -> None:
        """Make the copy a repository of one commit, as a clone is."""
        identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
        for words in (("init", "-q"), ("add", "-A"), (*identity, "commit", "-qm", "All of it")):
            subprocess.run(["git", *words], cwd=self.folder, check=True)

    def delete(self, *names: str) -> None:
        """Delete files and folders."""
        for name in names:
            subprocess.run(["rm", "-r", name], cwd=self.folder, check=True)
