"""The commands ``python -m infra validate`` and ``python -m infra plan``.

For the command table of `infra`: `add_validate_arguments` and `validate`, `add_plan_arguments` and `plan`. The first of
each pair takes the command's argument parser, the second its parsed arguments and returns the exit code.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.offline.bindings import BindingError
from infra.offline.changes import changes, summary
from infra.offline.stacks import SynthesizedStack, UnusableStackError, of_environment, read_stacks
from infra.offline.terraform import Terraform, TerraformError, offline, with_real_providers

NOT_CHECKED = (
    "Offline: checked by Terraform against the providers' schemas, with made-up values for what a cloud would answer. "
    "Not checked: values that only a provider knows (enums, names, quotas), changes that force a replacement, what "
    "exists, what the credentials may do."
)


def add_validate_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``validate``."""
    _add_common_arguments(parser)


def validate(args: argparse.Namespace) -> int:
    """Validate every synthesized stack with Terraform; 1 if any has an error."""
    return _reporting(lambda: _validate(args))


def add_plan_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``plan``."""
    parser.add_argument("environment", help="the environment to plan: dev, staging or prod")
    parser.add_argument("--details", action="store_true", help="print the plan as Terraform does, not only its summary")
    parser.add_argument("--json", type=Path, metavar="FOLDER", help="write each plan as <stack>.json into this folder")
    _add_common_arguments(parser)


def plan(args: argparse.Namespace) -> int:
    """Plan the stacks of one environment; offline from nothing to everything, otherwise against what exists."""
    return _reporting(lambda: _plan(args))


@dataclass(frozen=True, kw_only=True)
class Planned:
    """The plan of one stack: Terraform in whose folder it is kept, and its content as JSON."""

    terraform: Terraform
    content: Mapping[str, Any]


def plan_offline(
    stacks: Mapping[str, SynthesizedStack], folder: Path, *, cache: Path | None = None
) -> dict[str, Planned]:
    """Plan stacks offline, each on what those before it would have given, and return the plans by stack.

    Parameters
    ----------
    stacks
        In their order, as `read_stacks` returns them.
    folder
        An empty folder for the run, or that of an earlier run whose states are to be compared with.
    """
    prepared = offline(stacks, folder, cache=cache)
    _all_at_once(prepared.values(), lambda terraform: terraform.init())
    plans = {}
    for name, terraform in prepared.items():
        plans[name] = Planned(terraform=terraform, content=terraform.plan())
        # The stacks after it read its outputs from its state.
        terraform.apply()
    return plans


def _add_common_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--offline", action="store_true", help="no network, no credentials: schemas of the installed bindings"
    )
    parser.add_argument("--output", type=Path, default=Path("cdktf.out"), help="where the stacks were synthesized to")


def _reporting(command: Callable[[], int]) -> int:
    try:
        return command()
    except (BindingError, UnusableStackError, TerraformError) as error:
        print(error, file=sys.stderr)
        return 2


def _validate(args: argparse.Namespace) -> int:
    stacks = read_stacks(args.output)
    with tempfile.TemporaryDirectory() as folder:
        runs = offline(stacks, Path(folder)) if args.offline else _real(stacks)
        found = _all_at_once(runs.values(), _init_and_validate)
    for name, diagnostics in zip(runs, found, strict=True):
        print(f"{name}: {'valid' if not diagnostics else ''}".rstrip())
        for diagnostic in diagnostics:
            print(f"  {_sentence(diagnostic)}")
    _say_what_is_not_checked(args)
    return int(any(d["severity"] == "error" for diagnostics in found for d in diagnostics))


def _init_and_validate(terraform: Terraform) -> list[dict[str, Any]]:
    terraform.init(backend=False)
    return terraform.validate()


def _sentence(diagnostic: Mapping[str, Any]) -> str:
    snippet = diagnostic.get("snippet") or {}
    where = f" in {snippet['context']}" if snippet.get("context") else ""
    detail = " ".join(diagnostic.get("detail", "").split())
    return f"{diagnostic['severity']}: {diagnostic['summary']}{where}. {detail}".rstrip()


def _plan(args: argparse.Namespace) -> int:
    stacks = of_environment(read_stacks(args.output), args.environment)
    with tempfile.TemporaryDirectory() as folder:
        plans = plan_offline(stacks, Path(folder)) if args.offline else _plan_really(stacks)
        for name, planned in plans.items():
            print(f"{name}: {summary(changes(planned.content))}")
            if args.details:
                print(planned.terraform.text_of_plan())
    if args.json:
        args.json.mkdir(parents=True, exist_ok=True)
        for name, planned in plans.items():
            (args.json / f"{name}.json").write_text(json.dumps(planned.content), encoding="utf-8")
    _say_what_is_not_checked(args)
    return 0


def _plan_really(stacks: Mapping[str, SynthesizedStack]) -> dict[str, Planned]:
    plans = {}
    for name, terraform in _real(stacks).items():
        terraform.init()
        plans[name] = Planned(terraform=terraform, content=terraform.plan())
    return plans


def _real(stacks: Mapping[str, SynthesizedStack]) -> dict[str, Terraform]:
    return {name: with_real_providers(stack) for name, stack in stacks.items()}


def _all_at_once(runs: Iterable[Terraform], step: Callable[[Terraform], Any]) -> list[Any]:
    with ThreadPoolExecutor(max_workers=4) as pool:
        return list(pool.map(step, runs))


def _say_what_is_not_checked(args: argparse.Namespace) -> None:
    if args.offline:
        print(NOT_CHECKED)
