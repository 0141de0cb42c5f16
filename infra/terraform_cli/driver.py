"""The Terraform program in the folder of one stack: init, plan, apply, state."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from infra.terraform_cli.known_errors import remedy
from infra.terraform_cli.synthesized import REMOTE_STATE, SynthesizedStack
from ml.spec.errors import NotPossibleError

PROGRAM = "terraform"
OLDEST = "1.11"
"""The oldest version that is known to do."""
PLAN = "plan"
"""The file in a stack's folder that holds the plan made last."""
LOCK_FILE = ".terraform.lock.hcl"
"""The file in a stack's folder that holds versions and hashes of its providers."""


LOOKING = "-lock=false"
"""Whoever only looks takes no lock of the state: a deployment would fail on it."""
WAITING = "-lock-timeout=10m"
"""Whoever deploys waits for another who does."""


class TerraformError(NotPossibleError):
    """Terraform is missing or has failed; the message holds what it said."""


@dataclass(frozen=True, kw_only=True)
class Terraform:
    """Terraform in the folder of one stack.

    Attributes
    ----------
    stack
        The stack's name, for messages.
    folder
        Where the stack's JSON lies and Terraform works.
    environment
        The complete environment of the process.
    """

    stack: str
    folder: Path
    environment: Mapping[str, str]

    def init(self, *, backend: bool = True, locked: bool = False) -> None:
        """Install the providers and open the state; without `backend`, only what validation needs.

        With `locked`, exactly the providers of the lock file that lies in the folder, or none.
        """
        options = (*(() if backend else ("-backend=false",)), *(("-lockfile=readonly",) if locked else ()))
        self._run("init", "-input=false", *options)

    def validate(self) -> list[dict[str, Any]]:
        """Return Terraform's findings (severity, summary, detail, range); none if the stack is valid."""
        result = self._run("validate", "-json", allowed=(0, 1))
        diagnostics: list[dict[str, Any]] = json.loads(result.stdout)["diagnostics"]
        return diagnostics

    def plan(self, *, lock: bool = False, destroy: bool = False, targets: Sequence[str] = ()) -> dict[str, Any]:
        """Plan, keep the plan in the folder for `apply`, and return it as ``terraform show -json`` gives it.

        Parameters
        ----------
        lock
            Whether the plan is to be applied, so that nobody may deploy while it is made; without, it is looked at.
        targets
            Addresses to which the plan is confined, with what they need; none for everything.
        """
        options = (*(("-destroy",) if destroy else ()), *(f"-target={address}" for address in targets))
        self._run("plan", "-input=false", WAITING if lock else LOOKING, f"-out={PLAN}", *options)
        return self.shown()

    def shown(self, plan: Path | None = None) -> dict[str, Any]:
        """Return the plan that `plan` kept, or the one of a file, as Terraform shows it to programs."""
        found: dict[str, Any] = json.loads(self._run("show", "-json", str(plan.resolve()) if plan else PLAN).stdout)
        return found

    def apply(self, *, plan: Path | None = None, tell: Callable[[str], None] | None = None) -> None:
        """Apply exactly the plan that `plan` kept, or the one of a file.

        Parameters
        ----------
        tell
            Gets every line that Terraform prints, when it prints it.
        """
        self._run("apply", "-input=false", WAITING, str(plan.resolve()) if plan else PLAN, tell=tell)

    def outputs_read(self) -> dict[str, dict[str, Any]]:
        """Return what the states that this stack reads offer now: by the state's name, each output's value.

        Asked in a folder beside the stack's, so that relative places of states hold; no provider is needed.
        """
        content = json.loads((self.folder / "cdk.tf.json").read_text(encoding="utf-8"))
        states = content.get("data", {}).get(REMOTE_STATE, {})
        if not states:
            return {}
        beside = self.folder.with_name(f"{self.folder.name}.reads")
        beside.mkdir(exist_ok=True)
        try:
            asked = {"terraform": {"backend": {"local": {}}}, "data": {REMOTE_STATE: states}}
            (beside / "cdk.tf.json").write_text(json.dumps(asked), encoding="utf-8")
            asking = replace(self, folder=beside)
            asking.init()
            return outputs_of(asking.plan())
        finally:
            shutil.rmtree(beside)

    def deploy(self) -> None:
        """Plan and apply in one, for a stack whose plan nobody looks at."""
        self._run("apply", "-input=false", WAITING, "-auto-approve")

    def has_changes(self) -> bool:
        """Return whether a deployment would change anything."""
        return self._run("plan", "-input=false", LOOKING, "-detailed-exitcode", allowed=(0, 2)).returncode == 2

    def resources(self) -> list[str]:
        """Return the addresses in the state."""
        return self._run("state", "list").stdout.split()

    def held(self) -> dict[str, tuple[str, ...]]:
        """Return every managed resource in the state with the addresses that it depends on."""
        state = json.loads(self._run("show", "-json").stdout)
        found = state.get("values", {}).get("root_module", {}).get("resources", [])
        return {r["address"]: tuple(r.get("depends_on", ())) for r in found if r["mode"] == "managed"}

    def text_of_plan(self, plan: Path | None = None) -> str:
        """Return the plan that `plan` kept, or the one of a file, as Terraform prints it for people."""
        return self._run("show", str(plan.resolve()) if plan else PLAN).stdout

    def _run(
        self,
        command: str,
        *arguments: str,
        allowed: tuple[int, ...] = (0,),
        tell: Callable[[str], None] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        words = [program(), command, *(() if command == "state" else ("-no-color",)), *arguments]
        result = _followed(words, self.folder, self.environment, tell)
        if result.returncode not in allowed:
            said = result.stderr or result.stdout
            known = remedy(said)
            what = f"terraform {command} failed in stack {self.stack}"
            raise TerraformError(f"{what}: {known}" if known else f"{what}:\n{said}")
        return result


def outputs_of(plan: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what a plan was made from: the outputs of every state that its stack reads, by the state's name."""
    held = plan.get("prior_state", {}).get("values", {}).get("root_module", {}).get("resources", [])
    return {r["name"]: dict(r["values"].get("outputs") or {}) for r in held if r["type"] == REMOTE_STATE}


def _followed(
    words: list[str], folder: Path, environment: Mapping[str, str], tell: Callable[[str], None] | None
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, passing on each line of its standard output where somebody listens."""
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as errors,
        subprocess.Popen(  # noqa: S603 -- our own arguments, no shell
            words, cwd=folder, env=dict(environment), text=True, stdout=subprocess.PIPE, stderr=errors
        ) as running,
    ):
        lines = []
        for line in running.stdout or ():
            lines.append(line)
            if tell is not None and line.strip():
                tell(line.rstrip())
        code = running.wait()
        errors.seek(0)
        return subprocess.CompletedProcess(words, code, "".join(lines), errors.read())


def program() -> str:
    """Return the path of the Terraform program.

    Raises
    ------
    TerraformError
        If there is none.
    """
    found = shutil.which(PROGRAM)
    if found is None:
        raise TerraformError(f"the program `terraform` is not on the path: install Terraform {OLDEST} or newer.")
    return found


def with_real_providers(stack: SynthesizedStack) -> Terraform:
    """Return Terraform in the stack's own folder with this process's environment: real providers, real state."""
    return Terraform(stack=stack.name, folder=stack.folder, environment=dict(os.environ))


def version() -> str:
    """Return the version of the Terraform program."""
    command = [program(), "version", "-json"]
    result = subprocess.run(command, text=True, capture_output=True, check=True)  # noqa: S603 -- our own arguments
    return str(json.loads(result.stdout)["terraform_version"])
