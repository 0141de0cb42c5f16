"""Runs Terraform on copies of synthesized stacks with the generic provider; the states are copied with them."""

import importlib.util
import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from infra.offline.attached import until_closed
from infra.offline.bindings import PROVIDERS, BindingError
from infra.offline.run_environment import run_environment
from infra.terraform_cli.driver import Terraform, program
from infra.terraform_cli.synthesized import (
    REMOTE_STATE,
    SynthesizedStack,
    UnusableStackError,
)


def offline(stacks: Mapping[str, SynthesizedStack], folder: Path, *, cache: Path | None = None) -> dict[str, Terraform]:
    """Prepare stacks for runs against the generic provider and return Terraform for each, in the stacks' order.

    The stacks are copied below `folder`, where their states are too: the state of a deployment is neither read nor written.
    A second call with the same folder keeps the states, so that changes can be planned.

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
    program()
    environment = run_environment(folder, stacks.values(), cache=cache)
    states = {stack.state_place: str(folder / "state" / f"{name}.tfstate") for name, stack in stacks.items()}
    prepared = {}
    for name, stack in stacks.items():
        # As deep below the folder as a stack is below the tree, so that relative paths to files next to the output hold.
        target = folder / "cdktf.out" / "stacks" / name
        shutil.copytree(
            stack.folder, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*")
        )
        _copy_named_files(stack, target, folder)
        content = with_states(stack, states)
        (target / "cdk.tf.json").write_text(json.dumps(content, indent=2), encoding="utf-8")
        prepared[name] = Terraform(stack=name, folder=target, environment=environment, kept_open=until_closed())
    return prepared


_NAMED = re.compile(r'\$\{path\.module\}/([^"\\]+)')


def _copy_named_files(stack: SynthesizedStack, target: Path, folder: Path) -> None:
    """Copy the files that a stack names relative to its own folder, such as the wheel; never outside of the run's folder."""
    for name in set(_NAMED.findall(json.dumps(stack.content))):
        origin, goal = stack.folder / name, Path(os.path.normpath(target / name))
        if origin.is_file() and goal.is_relative_to(os.path.normpath(folder)) and not goal.is_relative_to(target):
            goal.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(origin, goal)


def with_states(stack: SynthesizedStack, states: Mapping[str, str]) -> dict[str, Any]:
    """Return the stack's JSON with its own state and every state that it reads as files on the disk.

    Parameters
    ----------
    states
        The place of a state in the stacks, to the path of the file to use.

    Raises
    ------
    UnusableStackError
        If the stack reads a state that no stack of the run writes.
    """
    content: dict[str, Any] = json.loads(json.dumps(stack.content))
    content.setdefault("terraform", {})["backend"] = {"local": {"path": states[stack.state_place]}}
    for name, place in stack.places_read.items():
        if place not in states:
            raise UnusableStackError(
                f"{stack.name}: {REMOTE_STATE}.{name} reads {place}, which no stack of this run writes."
            )
        content["data"][REMOTE_STATE][name] = {"backend": "local", "config": {"path": states[place]}}
    return content


OFFLINE_BACKENDS = ("local", "azurerm")
"""The backends whose states an offline run replaces by local files; the real states are never opened."""


def require_offline(stacks: Iterable[SynthesizedStack]) -> None:
    """Raise if made-up values could do harm in any of the stacks.

    Raises
    ------
    UnusableStackError
        Naming every reason: a kind of state that is not known, a provisioner that would run, a provider whose schemas are not known.
    """
    reasons = [reason for stack in stacks for reason in refusals(stack)]
    if reasons:
        raise UnusableStackError("refused offline:\n" + "\n".join(f"- {reason}" for reason in reasons))


def refusals(stack: SynthesizedStack) -> list[str]:
    """Return every reason why the stack must not run offline; empty if it may."""
    reasons = []
    kind, _ = stack.backend
    known = " and ".join(OFFLINE_BACKENDS)
    if kind not in OFFLINE_BACKENDS:
        reasons.append(f"{stack.name}: its state is kept in the backend {kind!r}; offline runs replace {known} alone.")
    for name, backend, _ in stack.remote_states():
        if backend not in OFFLINE_BACKENDS:
            reasons.append(f"{stack.name}: {REMOTE_STATE}.{name} reads the backend {backend!r}, not {known}.")
    for resource, name, arguments in stack.resources():
        if "provisioner" in arguments:
            reasons.append(f"{stack.name}: {resource}.{name} has a provisioner, which would run for real.")
    for name, provider in stack.providers.items():
        if str(provider["source"]).rsplit("/", 1)[-1] not in PROVIDERS:
            reasons.append(f"{stack.name}: the schemas of provider {name!r} ({provider['source']}) are not known.")
    return reasons
