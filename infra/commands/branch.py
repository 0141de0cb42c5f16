"""Deploy a branch of use cases into dev beside the originals, remove it, or list those that are there.

Without --apply, only say what would be done; without a name, list. Every use case gets schemas, tables, model, experiment and jobs under
a name of its own, USE_CASE_branch_NAME; nothing that is shared changes, and no job has a schedule. The branch has a state of its own;
--remove destroys all that is in it. It is deployed from the commit that is checked out, by dev's identity, with the guards of every
other apply.

Examples
--------
  python -m infra branch new_gate --use-case flight_delay --offline
  python -m infra branch new_gate --use-case flight_delay --apply
  python -m infra branch new_gate --remove --apply
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from infra.build.release import current_release
from infra.build.reproducible_wheel import has_uncommitted_changes
from infra.commands.options import Details, Offline, SettingsFolder
from infra.commands.release.output import say
from infra.config.checks import load_settings
from infra.config.loading import FOLDER, Settings
from infra.config.stack_names import branch_stack_name
from infra.constructs.release import Release
from infra.graph.declared import as_synthesized
from infra.graph.proof import prove
from infra.offline.runs import NOT_CHECKED, plan_offline
from infra.releases.branches import deployed_branches, target_of_branches
from infra.releases.data_loss import VARIABLE, addresses
from infra.releases.guarded_apply import StackRequest, apply_stack
from infra.releases.ledger import run_az
from infra.releases.recording import ReleaseRefusedError
from infra.releases.target import Target
from infra.review.git_branches import git_branches, name_after, namesakes, not_needed
from infra.stacks.branch import branch_stack, branches_of, with_branches
from infra.stacks.estate import stacks as estate_stacks
from infra.synthesis.cdktf_seam import synthesize
from infra.terraform_cli.changes import changes, summary
from infra.terraform_cli.driver import with_real_providers
from infra.terraform_cli.synthesized import SynthesizedStack, needed_by, read_stacks
from ml.spec.errors import RequestError
from pipelines.declarations.environment import DEV
from pipelines.declarations.mistakes import unknown
from pipelines.declarations.registry import use_cases

OUT = Path("cdktf.branch.out")
EVERY_USE_CASE = "all"


@dataclass(frozen=True, kw_only=True)
class BranchRequest:
    """What is asked for, of whichever branch."""

    use_cases: tuple[str, ...]
    remove: bool
    apply: bool
    details: bool
    allow_destroy: tuple[str, ...]
    out: Path
    settings: Path


def run(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The branch: a-z, 0-9 and single '_'. Default: list all.")
    ] = None,
    git_branch: Annotated[
        str | None,
        typer.Option(
            "--git-branch",
            metavar="REF",
            help="Instead of NAME: the Git branch, refs/heads/..., after which it is called.",
        ),
    ] = None,
    use_case: Annotated[
        list[str] | None,
        typer.Option(
            "--use-case",
            metavar="NAME",
            help="A use case; repeat for several. Default: all.",
            envvar="BRANCH_USE_CASES",
        ),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Destroy the branch instead.")] = False,
    gone: Annotated[
        bool,
        typer.Option("--gone", help="Destroy each branch whose Git branch is deleted, or wholly merged into main."),
    ] = False,
    apply: Annotated[
        bool, typer.Option("--apply", help="Do what the plan says; without it nothing is changed.")
    ] = False,
    allow_destroy: Annotated[
        str,
        typer.Option(
            "--allow-destroy",
            metavar="ADDRESS[,ADDRESS]",
            envvar=VARIABLE,
            help="With --apply: resources with data of the branch that the plan may destroy. Default: none.",
        ),
    ] = "",
    env: Annotated[str, typer.Option("--env", metavar="ENVIRONMENT", help="Branches run in dev alone.")] = DEV.name,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Folder to write.")] = OUT,
    settings: SettingsFolder = FOLDER,
    offline: Offline = False,
    details: Details = False,
) -> int:
    """Plan, or plan and apply; 1 if the proof over all stacks finds something, and then nothing is planned."""
    if env != DEV.name:
        raise RequestError(
            f"--env {env}: branches run in {DEV.name} alone, the other environments run what was merged."
        )
    if offline and (apply or remove or gone):
        raise RequestError(
            "--offline plans a new branch, of which nothing exists: leave out --apply, --remove and --gone."
        )
    if sum(map(bool, (name, git_branch, gone))) > 1:
        raise RequestError("NAME, --git-branch and --gone each say which branch: give one of them.")
    request = BranchRequest(
        use_cases=_use_cases(use_case or ()), remove=remove or gone, apply=apply, details=details,
        allow_destroy=addresses(allow_destroy), out=out, settings=settings,
    )  # fmt: skip
    if gone:
        return _remove_those_not_needed(request)
    chosen = name if git_branch is None else _named_after(git_branch, remove=remove)
    if chosen is None:
        return _list(request)
    return _offline(chosen, request) if offline else _deploy(chosen, request)


def _use_cases(asked: Sequence[str]) -> tuple[str, ...]:
    known = [one.name for one in use_cases()]
    asked = [one for one in asked if one != EVERY_USE_CASE]
    if wrong := [unknown("use case", one, known) for one in asked if one not in known]:
        raise RequestError(" ".join(wrong))
    return tuple(asked or known)


def _named_after(ref: str, *, remove: bool) -> str:
    """Return the name of a Git branch's deployed branch, which no other one may have that is deployed."""
    name = name_after(ref)
    others = () if remove else namesakes(ref, git_branches())
    if others:
        raise RequestError(
            f"the branches of {ref} and of {', '.join(others)} would both be called {name}: rename one, or give NAME."
        )
    return name


def _target(request: BranchRequest) -> Target:
    return target_of_branches(load_settings(request.settings), request.out.resolve().parent)


def _list(request: BranchRequest) -> int:
    """Print the branches of which something is deployed."""
    if request.remove or request.apply:
        raise RequestError("--remove and --apply are for one branch: name it.")
    found = deployed_branches(_target(request).ledger.read())
    for name, record in found.items():
        print(f"{name}: {record.kind} of commit {record.commit[:12]}, {record.outcome} at {record.at}")
    print(f"{len(found) or 'no'} branches in {DEV.name}" if len(found) != 1 else f"1 branch in {DEV.name}")
    return 0


def _remove_those_not_needed(request: BranchRequest) -> int:
    """Remove every deployed branch that nobody needs; the exit code is the worst of all."""
    deployed = deployed_branches(_target(request).ledger.read())
    found = not_needed(tuple(deployed), git_branches())
    for name in deployed:
        print(f"{name}: {f'to be removed, {found[name]}' if name in found else 'stays'}")
    if not deployed:
        print(f"no branches in {DEV.name}")
    return max((_deploy(name, request) for name in found), default=0)


def _synthesized(name: str, request: BranchRequest, release: Release) -> Mapping[str, SynthesizedStack] | None:
    """Return all stacks with that of a branch; None if the proof finds something, which is printed.

    A removal changes nothing but what is in the branch's state, so nothing has to be proven first.
    """
    declared, settings = use_cases(), load_settings(request.settings)
    branches = branches_of(declared, request.use_cases, name)
    allowing: Settings = with_branches(settings, branches)
    made = estate_stacks(settings, declared, release)
    own = branch_stack(allowing, declared, branches, release, made)
    found = () if request.remove else prove(as_synthesized((*made, own)), allowing, (*declared, *branches))
    for finding in found:
        print(f"{finding.resource}: {finding.message} ({finding.check})")
    if found:
        return None
    synthesize((*made, own), request.out)
    return read_stacks(request.out)


def _offline(name: str, request: BranchRequest) -> int:
    stack = branch_stack_name(DEV.name, name)
    stacks = _synthesized(name, request, current_release(out=request.out))
    if stacks is None:
        return 1
    with tempfile.TemporaryDirectory() as folder:
        plan = plan_offline(needed_by([stack], stacks), Path(folder), only=[stack])[stack]
        print(f"{stack}: {summary(changes(plan.content))}")
        if request.details:
            print(plan.terraform.text_of_plan())
    print(NOT_CHECKED)
    return 0


def _deploy(name: str, request: BranchRequest) -> int:
    """Plan a branch, or its removal, against what exists, and do it if that is asked for."""
    stack, release = branch_stack_name(DEV.name, name), current_release(out=request.out)
    if request.apply and not request.remove:
        _require_commit(release)
    stacks = _synthesized(name, request, release)
    if stacks is None:
        return 1
    terraform = with_real_providers(stacks[stack])
    terraform.init()
    if not request.apply:
        print(f"{stack}: {summary(changes(terraform.plan(destroy=request.remove)))}")
        if request.details:
            print(terraform.text_of_plan())
        return 0
    asked = StackRequest(
        command="destroy" if request.remove else "apply", approved=True, allow_destroy=request.allow_destroy
    )
    code = apply_stack(asked, terraform, _target(request), release, ask=str, az=run_az, say=say)
    if code == 0:
        say(f"{stack}: {'removed' if request.remove else 'deployed'}")
    return code


def _require_commit(release: Release) -> None:
    """Refuse to deploy what no commit holds, as a release is refused."""
    reasons = []
    if has_uncommitted_changes(everything=True):
        reasons.append(
            "there are changes that are not committed: a branch is deployed from a commit. Commit them first."
        )
    if release.sha256 is None:
        reasons.append(f"{release.wheel} is not built: run `python -m infra wheel`.")
    if reasons:
        raise ReleaseRefusedError("the branch is not deployed:\n" + "\n".join(f"- {reason}" for reason in reasons))
