"""The Terraform program in the folder of one stack: init, plan, apply, state."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from infra.terraform_cli.known_errors import is_state_missing, not_recorded, protected, remedy, take_over, untaint
from infra.terraform_cli.running import run_to_the_end
from infra.terraform_cli.synthesized import REMOTE_STATE, SynthesizedStack
from ml.spec.errors import NotPossibleError

PROGRAM = "terraform"
OLDEST = "1.11"
"""The oldest version that is known to work."""
PLAN = "plan"
"""The file in a stack's folder that holds the latest plan."""
LOCK_FILE = ".terraform.lock.hcl"
"""The file in a stack's folder that holds versions and hashes of its providers."""


NO_LOCK = "-lock=false"
"""A plan that is only looked at takes no lock of the state: a deployment at the same time would fail on it."""
WAIT_FOR_LOCK = "-lock-timeout=10m"
"""A deployment waits for another one to release the lock of the state."""
APPLY_LOG = ".terraform.apply.log"
"""The file in a stack's folder that holds what the latest apply printed, also where nobody was there to read it."""


class TerraformError(NotPossibleError):
    """Terraform is missing or has failed; the message holds its output."""


class StateMissingError(TerraformError):
    """A stack reads the state of another one, which nobody has deployed yet."""


@dataclass(frozen=True, kw_only=True)
class Terraform:
    """Terraform in the folder of one stack.

    Attributes
    ----------
    stack
        The stack's name, for messages.
    folder
        The stack's folder, in which Terraform runs.
    environment
        The complete environment of the process.
    kept_open
        File descriptors that the process holds open while it runs.
    """

    stack: str
    folder: Path
    environment: Mapping[str, str]
    kept_open: tuple[int, ...] = ()

    def init(self, *, backend: bool = True, locked: bool = False) -> None:
        """Install the providers and open the state; without `backend`, only what validation needs.

        With `locked`, exactly the providers of the lock file in the folder, or none.
        """
        options = (*(() if backend else ("-backend=false",)), *(("-lockfile=readonly",) if locked else ()))
        self._run("init", "-input=false", *options)

    def validate(self) -> list[dict[str, Any]]:
        """Return Terraform's findings (severity, summary, detail, range); none if the stack is valid."""
        result = self._run("validate", "-json", allowed=(0, 1))
        diagnostics: list[dict[str, Any]] = json.loads(result.stdout)["diagnostics"]
        return diagnostics

    def plan(self, *, lock: bool = False, destroy: bool = False, targets: Sequence[str] = ()) -> dict[str, Any]:
        """Plan, leave the plan in the folder for `apply`, and return it as ``terraform show -json`` gives it.

        Parameters
        ----------
        lock
            Whether to hold the lock of the state while planning, for a plan that is to be applied.
        targets
            The addresses to plan, with what they depend on; none for everything.
        """
        options = (*(("-destroy",) if destroy else ()), *(f"-target={address}" for address in targets))
        self._run("plan", "-input=false", WAIT_FOR_LOCK if lock else NO_LOCK, f"-out={PLAN}", *options)
        return self.shown()

    def shown(self, plan: Path | None = None) -> dict[str, Any]:
        """Return the latest plan of this folder, or the plan in a file, as ``terraform show -json`` gives it."""
        found: dict[str, Any] = json.loads(self._run("show", "-json", str(plan.resolve()) if plan else PLAN).stdout)
        return found

    def apply(self, *, plan: Path | None = None, on_line: Callable[[str], None] | None = None) -> None:
        """Apply exactly the latest plan of this folder, or the plan in a file.

        Parameters
        ----------
        on_line
            Called with every line that Terraform prints, when it prints it.
        """
        self._run("apply", "-input=false", WAIT_FOR_LOCK, str(plan.resolve()) if plan else PLAN, on_line=on_line)

    def outputs_read(self) -> dict[str, dict[str, Any]]:
        """Return the present outputs of the states that this stack reads: by the name of the state, each output's value.

        A plan in a neighbouring folder reads them, so that relative paths of states stay right; it needs no provider.
        """
        content = json.loads((self.folder / "cdk.tf.json").read_text(encoding="utf-8"))
        states = content.get("data", {}).get(REMOTE_STATE, {})
        if not states:
            return {}
        neighbour = self.folder.with_name(f"{self.folder.name}.reads")
        neighbour.mkdir(exist_ok=True)
        try:
            content = {"terraform": {"backend": {"local": {}}}, "data": {REMOTE_STATE: states}}
            (neighbour / "cdk.tf.json").write_text(json.dumps(content), encoding="utf-8")
            reader = replace(self, folder=neighbour)
            reader.init()
            return outputs_of(reader.plan())
        finally:
            shutil.rmtree(neighbour)

    def deploy(self) -> None:
        """Plan and apply in one step, for a stack whose plan nobody reviews."""
        self._run("apply", "-input=false", WAIT_FOR_LOCK, "-auto-approve")

    def has_changes(self) -> bool:
        """Return whether a deployment would change anything."""
        return self._run("plan", "-input=false", NO_LOCK, "-detailed-exitcode", allowed=(0, 2)).returncode == 2

    def resources(self) -> list[str]:
        """Return the addresses in the state."""
        return self._run("state", "list").stdout.split()

    def dependencies(self) -> dict[str, tuple[str, ...]]:
        """Return every managed resource in the state with the addresses that it depends on."""
        state = json.loads(self._run("show", "-json").stdout)
        found = state.get("values", {}).get("root_module", {}).get("resources", [])
        return {r["address"]: tuple(r.get("depends_on", ())) for r in found if r["mode"] == "managed"}

    def text_of_plan(self, plan: Path | None = None) -> str:
        """Return the latest plan of this folder, or the plan in a file, as Terraform prints it for people."""
        return self._run("show", str(plan.resolve()) if plan else PLAN).stdout

    def _run(
        self,
        command: str,
        *arguments: str,
        allowed: tuple[int, ...] = (0,),
        on_line: Callable[[str], None] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        words = [program(), command, *(() if command == "state" else ("-no-color",)), *arguments]
        changes = command == "apply"
        result = run_to_the_end(
            words,
            folder=self.folder,
            environment=self.environment,
            what=f"Terraform, which runs {command} in stack {self.stack},",
            wait=changes or WAIT_FOR_LOCK in arguments,
            log=self.folder / APPLY_LOG if changes else None,
            kept_open=self.kept_open,
            on_line=on_line,
        )
        if result.returncode not in allowed:
            raise self._failed(command, result)
        return result

    def _failed(self, command: str, result: subprocess.CompletedProcess[str]) -> TerraformError:
        """Return the error of a failed command, with the way out where it is known."""
        what, output = f"terraform {command} failed in stack {self.stack}", result.stderr or result.stdout
        if cut_off := sorted(protected(output) & self._tainted() if protected(output) else ()):
            return TerraformError(f"{what}: {untaint(cut_off, self.folder)}")
        if left := not_recorded(output, self._resources()):
            return TerraformError(f"{what}: {take_over(left, self.folder)}\n{output}")
        kind = StateMissingError if is_state_missing(output) else TerraformError
        return kind(_failure(what, result))

    def _resources(self) -> dict[str, Any]:
        """Return what the stack states, type to name to arguments; nothing for a folder without a synthesized stack."""
        file = self.folder / "cdk.tf.json"
        return dict(json.loads(file.read_text(encoding="utf-8")).get("resource", {})) if file.is_file() else {}

    def _tainted(self) -> set[str]:
        """Return the addresses in the state whose creation did not finish."""
        state = json.loads(self._run("show", "-json").stdout)
        found = state.get("values", {}).get("root_module", {}).get("resources", [])
        return {resource["address"] for resource in found if resource.get("tainted")}


def _failure(what: str, result: subprocess.CompletedProcess[str]) -> str:
    output = result.stderr or result.stdout
    if result.returncode < 0:
        ended = signal.Signals(-result.returncode).name
        return f"{what}: Terraform was ended by {ended}. Its state may lack what it was doing, and may be locked.\n{output}"
    known = remedy(output)
    return f"{what}: {known}" if known else f"{what}:\n{output}"


def outputs_of(plan: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the outputs from which a plan was made: those of every state that its stack reads, by the state's name."""
    held = plan.get("prior_state", {}).get("values", {}).get("root_module", {}).get("resources", [])
    return {r["name"]: dict(r["values"].get("outputs") or {}) for r in held if r["type"] == REMOTE_STATE}


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
