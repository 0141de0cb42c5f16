"""What `review` looks at: the stacks, settings, waivers and costs of the tree and of the commit that it is compared with."""

import dataclasses
import json
import subprocess
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.build.release import ROOT, current_commit, current_release
from infra.build.reproducible_wheel import PACKED
from infra.checks.waivers import WAIVERS, Waiver, read_waivers
from infra.commands.cost import estimate
from infra.config.ceilings import ceilings
from infra.config.checks import load_settings
from infra.config.loading import FOLDER, Settings
from infra.description.cost import CostPart
from infra.graph.estate import Estate
from infra.graph.meanings import contexts
from infra.graph.paths import Graph, whole_graph
from infra.graph.rights import Judge
from infra.graph.uncollected import uncollected
from infra.releases.rebuild import checked_out, in_checkout, read_with_states, synthesize_checkout
from infra.review.comparing import Meaning, SynthesizedEstate, compare
from infra.review.cost_changes import CostChange, cost_changes
from infra.review.effective_rights import rights_changes, way_changes
from infra.review.planned_stacks import before_plan
from infra.review.plans import joined, meaning_of_plans
from infra.review.record import ReviewRecord
from infra.review.strictness import looser_in_prod
from infra.review.waiver_changes import waiver_changes
from infra.stacks.estate import stacks
from infra.synthesis.cdktf_seam import synthesize
from infra.terraform_cli.synthesized import SynthesizedStack
from ml.spec.errors import LakehouseError
from pipelines.declarations.registry import use_cases

Stacks = Mapping[str, SynthesizedStack]
Plans = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class _Side:
    """What is read of one commit; None where the code of today cannot read it, or its own code does not state it."""

    stacks: Stacks
    settings: Settings | None
    waivers: tuple[Waiver, ...] | None
    parts: tuple[CostPart, ...] | None


@uncollected
def reviewed(base: str, settings: Path, plans: Plans) -> ReviewRecord:
    """Return what the tree means beside a commit, with what plans mean for the stacks that they plan.

    Parameters
    ----------
    settings
        The folder of the tree's settings; the commit has its own.
    """
    stated = load_settings(settings)
    before, after = _both(base, settings, stated)
    old, new = (
        SynthesizedEstate(stacks={name: one for name, one in side.stacks.items() if name not in plans}, commit=commit)
        for side, commit in ((before, base), (after, current_commit(ROOT)))
    )
    compared, planned = compare(old, new), meaning_of_plans(plans)
    names = [*compared, *(name for name in planned if name not in compared)]
    was, stands = (looser_in_prod(side.stacks) for side in (before, after))
    had = _graph(_with_plans(before.stacks, after.stacks, plans), before.settings or stated)
    estate = Estate(after.stacks, stated)
    has = whole_graph(estate, use_cases())
    return ReviewRecord(
        base=base,
        meanings={name: joined(compared.get(name, Meaning()), planned.get(name, Meaning())) for name in names},
        rights=rights_changes(had, has),
        ways=way_changes(had, has, Judge(estate, ceilings(), use_cases()), contexts(stated, tuple(use_cases()))),
        waivers=() if before.waivers is None else waiver_changes(before.waivers, after.waivers or ()),
        cost=_cost(before, after, settings),
        looser=stands,
        newly_looser=tuple(one for one in stands if one.sentence not in {other.sentence for other in was}),
        notes=tuple(_notes(base, plans, before)),
    )


def _both(base: str, settings: Path, stated: Settings) -> tuple[_Side, _Side]:
    """Return the commit and the tree; both are synthesized at the same time."""
    with tempfile.TemporaryDirectory() as folder, checked_out(base, ROOT) as tree, ThreadPoolExecutor(2) as both:
        before, parts = both.submit(synthesize_checkout, tree, ROOT), both.submit(_parts_of, tree, Path(folder))
        synthesize(stacks(stated, use_cases(), current_release()), Path(folder) / "after")
        after = _Side(
            stacks=read_with_states(Path(folder) / "after", ROOT), settings=stated, waivers=read_waivers(),
            parts=estimate(settings)[0],
        )  # fmt: skip
        return _Side(
            stacks=before.result(), settings=_settings_of(tree), waivers=_waivers_of(tree), parts=parts.result()
        ), after


def _settings_of(tree: Path) -> Settings | None:
    try:
        return load_settings(tree / FOLDER.relative_to(ROOT))
    except LakehouseError:
        return None


def _waivers_of(tree: Path) -> tuple[Waiver, ...] | None:
    try:
        return read_waivers(tree / WAIVERS.relative_to(ROOT))
    except LakehouseError:
        return None


def _parts_of(tree: Path, folder: Path) -> tuple[CostPart, ...] | None:
    """Return the parts of the cost as the commit's own code states them; None if it does not, or in another form."""
    file = folder / "parts.json"
    if in_checkout(tree, "cost", "--parts", str(file)).returncode != 0:
        return None
    stated = json.loads(file.read_text(encoding="utf-8"))
    fields = {field.name for field in dataclasses.fields(CostPart)}
    return tuple(CostPart(**part) for part in stated) if all(part.keys() == fields for part in stated) else None


def _with_plans(before: Stacks, after: Stacks, plans: Plans) -> Stacks:
    """Return the stacks of before, those with a plan as they exist now by their plan."""
    planned = {name: before_plan(after[name], plan) for name, plan in plans.items() if name in after}
    return {**before, **{name: _with_resources(before.get(name, one), one) for name, one in planned.items()}}


def _with_resources(stack: SynthesizedStack, planned: SynthesizedStack) -> SynthesizedStack:
    """Return a stack with the resources of its plan: providers and states are those of the commit, as of its other stacks."""
    return dataclasses.replace(stack, content={**stack.content, "resource": planned.content["resource"]})


def _graph(stacks_of: Stacks, settings: Settings) -> Graph:
    return whole_graph(Estate(stacks_of, settings), use_cases())


def _cost(before: _Side, after: _Side, settings: Path) -> tuple[CostChange, ...]:
    return cost_changes(before.parts, after.parts or (), estimate(settings)[1])


def _notes(base: str, plans: Plans, before: _Side) -> list[str]:
    """Return what was compared, what could not be, and whether the code of the jobs changes."""
    lines = [
        f"Compared with {base[:12]}: the synthesized stacks, without the commit that each deployment writes again."
    ]
    if plans:
        lines.append(f"By Terraform's plan against what exists: {', '.join(sorted(plans))}.")
    if before.settings is None:
        lines.append(
            "The code of today cannot read the settings of before: its principals are named by those of today."
        )
    if before.waivers is None:
        lines.append("The code of today cannot read the waivers of before: they are not compared.")
    if before.parts is None:
        lines.append(
            "The commit that is compared with does not state the parts of its cost: the cost before is unknown."
        )
    code = _changed_code(base)
    lines.append(
        f"The code of the jobs changes in {len(code)} file{'s' if len(code) > 1 else ''}: each deployment takes it along."
        if code
        else "The code of the jobs does not change."
    )
    return lines


def _changed_code(base: str) -> list[str]:
    command = ["git", "diff", "--name-only", base, "--", *(name for name in PACKED if name != "README.md")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 # git, our arguments
    return done.stdout.split()
