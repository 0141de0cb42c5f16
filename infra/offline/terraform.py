"""The real Terraform over synthesized stacks: offline in a folder of its own, or as installed with the real providers."""

import importlib.util
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.offline.bindings import BindingError
from infra.offline.mirror import lay_out
from infra.offline.stacks import REMOTE_STATE, SynthesizedStack, UnusableStackError, require_offline, state_path

PROGRAM = "terraform"


class TerraformError(RuntimeError):
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

    def init(self, *, backend: bool = True) -> None:
        """Install the providers and open the state; without `backend`, only what validation needs."""
        self._run("init", "-input=false", *(() if backend else ("-backend=false",)))

    def validate(self) -> list[dict[str, Any]]:
        """Return Terraform's findings (severity, summary, detail, range); none if the stack is valid."""
        result = self._run("validate", "-json", allowed=(0, 1))
        diagnostics: list[dict[str, Any]] = json.loads(result.stdout)["diagnostics"]
        return diagnostics

    def plan(self, *, destroy: bool = False) -> dict[str, Any]:
        """Plan, keep the plan in the folder for `apply`, and return it as ``terraform show -json`` gives it."""
        self._run("plan", "-input=false", "-out=plan", *(("-destroy",) if destroy else ()))
        shown: dict[str, Any] = json.loads(self._run("show", "-json", "plan").stdout)
        return shown

    def apply(self) -> None:
        """Apply exactly the plan that `plan` kept."""
        self._run("apply", "-input=false", "plan")

    def deploy(self) -> None:
        """Plan and apply in one, for a stack whose plan nobody looks at."""
        self._run("apply", "-input=false", "-auto-approve")

    def has_changes(self) -> bool:
        """Return whether a deployment would change anything."""
        return self._run("plan", "-input=false", "-detailed-exitcode", allowed=(0, 2)).returncode == 2

    def resources(self) -> list[str]:
        """Return the addresses in the state."""
        return self._run("state", "list").stdout.split()

    def text_of_plan(self) -> str:
        """Return the kept plan as Terraform prints it for people."""
        return self._run("show", "plan").stdout

    def _run(self, command: str, *arguments: str, allowed: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess[str]:
        result = subprocess.run(  # noqa: S603 -- our own arguments, no shell
            [program(), command, *(() if command == "state" else ("-no-color",)), *arguments],
            cwd=self.folder,
            env=dict(self.environment),
            text=True,
            capture_output=True,
            check=False,
        )
        if result.returncode not in allowed:
            raise TerraformError(f"terraform {command} failed in stack {self.stack}:\n{result.stderr or result.stdout}")
        return result


def program() -> str:
    """Return the path of the Terraform program.

    Raises
    ------
    TerraformError
        If there is none.
    """
    found = shutil.which(PROGRAM)
    if found is None:
        raise TerraformError("the program `terraform` is not on the path: install Terraform 1.5 or newer.")
    return found


def with_real_providers(stack: SynthesizedStack) -> Terraform:
    """Return Terraform in the stack's own folder with this process's environment: real providers, real state."""
    return Terraform(stack=stack.name, folder=stack.folder, environment=dict(os.environ))


def offline(stacks: Mapping[str, SynthesizedStack], folder: Path, *, cache: Path | None = None) -> dict[str, Terraform]:
    """Prepare stacks for runs against the generic provider and return Terraform for each, in the stacks' order.

    The stacks are copied below `folder`, with their states there too: nothing is read from or written to a state that
    belongs to a deployment. A second call with the same folder keeps the states, so that changes can be planned.

    Raises
    ------
    UnusableStackError
        If any of the stacks must not run offline, with every reason.
    BindingError
        If the installed bindings do not fit the stacks.
    """
    require_offline(stacks.values())
    if importlib.util.find_spec("tf") is None:
        raise BindingError("the package `tf` is not installed: offline runs need the requirements for development.")
    environment = lay_out(folder, stacks.values(), platform=platform(), cache=cache)
    states = {state_path(stack): str(folder / "state" / f"{name}.tfstate") for name, stack in stacks.items()}
    prepared = {}
    for name, stack in stacks.items():
        target = folder / "stacks" / name
        shutil.copytree(
            stack.folder, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*")
        )
        content = with_states(stack, states)
        (target / "cdk.tf.json").write_text(json.dumps(content, indent=2), encoding="utf-8")
        prepared[name] = Terraform(stack=name, folder=target, environment=environment)
    return prepared


def with_states(stack: SynthesizedStack, states: Mapping[str, str]) -> dict[str, Any]:
    """Return the stack's JSON with its own state and every state that it reads at other paths.

    Parameters
    ----------
    states
        Path as the stacks state it to the path to use.

    Raises
    ------
    UnusableStackError
        If the stack reads a state that no stack of the run writes.
    """
    content: dict[str, Any] = json.loads(json.dumps(stack.content))
    content.setdefault("terraform", {})["backend"] = {"local": {"path": states[state_path(stack)]}}
    for name, _, config in stack.remote_states():
        path = str(config.get("path"))
        if path not in states:
            raise UnusableStackError(
                f"{stack.name}: {REMOTE_STATE}.{name} reads {path}, which no stack of this run writes."
            )
        content["data"][REMOTE_STATE][name]["config"]["path"] = states[path]
    return content


def platform() -> str:
    """Return operating system and architecture as Terraform names them, for example ``linux_amd64``."""
    command = [program(), "version", "-json"]
    result = subprocess.run(command, text=True, capture_output=True, check=True)  # noqa: S603 -- our own arguments
    return str(json.loads(result.stdout)["platform"])
