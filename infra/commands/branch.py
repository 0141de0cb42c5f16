"""Deploy a branch of use cases into dev beside the originals, or remove it.

Without --apply, only say what would be done. Every use case gets schemas, tables, model, experiment and jobs under a name of its own,
USE_CASE_branch_NAME; nothing that is shared changes, and no job has a schedule. The branch has a state of its own; --remove destroys
all that is in it. It is deployed from the commit that is checked out, by whoever may apply dev's stacks.

Examples
--------
  python -m infra branch new_gate --use-case flight_delay --offline
  python -m infra branch new_gate --use-case flight_delay --apply
  python -m infra branch new_gate --remove --apply
"""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from infra.build.release import current_release
from infra.commands.options import Details, Offline, SettingsFolder
from infra.config.checks import load_settings
from infra.config.loading import FOLDER
from infra.config.stack_names import branch_stack_name
from infra.graph.declared import as_synthesized
from infra.graph.proof import prove
from infra.offline.runs import NOT_CHECKED, plan_offline
from infra.stacks.branch import branch_stack, branches_of, with_branches
from infra.stacks.estate import stacks as estate_stacks
from infra.synthesis.cdktf_seam import synthesize
from infra.terraform_cli.changes import changes, summary
from infra.terraform_cli.driver import with_real_providers
from infra.terraform_cli.synthesized import needed_by, read_stacks
from ml.spec.errors import RequestError
from pipelines.declarations.environment import DEV
from pipelines.declarations.mistakes import unknown
from pipelines.declarations.registry import use_cases

OUT = Path("cdktf.branch.out")


def run(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The branch: a-z, 0-9 and single '_'.")],
    use_case: Annotated[
        list[str] | None,
        typer.Option("--use-case", metavar="NAME", help="A use case; repeat for several. Default: all."),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Destroy the branch instead.")] = False,
    apply: Annotated[
        bool, typer.Option("--apply", help="Do what the plan says; without it nothing is changed.")
    ] = False,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help=f"Folder to write. Default: {OUT}.")] = OUT,
    settings: SettingsFolder = FOLDER,
    offline: Offline = False,
    details: Details = False,
) -> int:
    """Plan, or plan and apply; 1 if the proof over all stacks finds something, and then nothing is planned."""
    if offline and (apply or remove):
        raise RequestError("--offline plans a new branch, of which nothing exists: leave out --apply and --remove.")
    declared, stack = use_cases(), branch_stack_name(DEV.name, name)
    known = [one.name for one in declared]
    if wrong := [unknown("use case", one, known) for one in use_case or () if one not in known]:
        raise RequestError(" ".join(wrong))
    branches = branches_of(declared, use_case or known, name)
    allowing = with_branches(load_settings(settings), branches)
    release = current_release(out=out)
    made = estate_stacks(load_settings(settings), declared, release)
    own = branch_stack(allowing, declared, branches, release, made)
    found = prove(as_synthesized((*made, own)), allowing, (*declared, *branches))
    for finding in found:
        print(f"{finding.resource}: {finding.message} ({finding.check})")
    if found:
        return 1
    synthesize((*made, own), out)
    planned = read_stacks(out)
    if offline:
        with tempfile.TemporaryDirectory() as folder:
            plan = plan_offline(needed_by([stack], planned), Path(folder), only=[stack])[stack]
            print(f"{stack}: {summary(changes(plan.content))}")
            if details:
                print(plan.terraform.text_of_plan())
        print(NOT_CHECKED)
        return 0
    terraform = with_real_providers(planned[stack])
    terraform.init()
    print(f"{stack}: {summary(changes(terraform.plan(lock=apply, destroy=remove)))}")
    if details:
        print(terraform.text_of_plan())
    if apply:
        terraform.apply()
        print(f"{stack}: {'removed' if remove else 'deployed'}")
    return 0
