"""Synthesis of all stacks against the plain import of the bindings, and how it grows with the number of teams.

Each figure is taken in a fresh process, as a command runs. In the second table each team has one use case with all its
jobs, in all three environments. The plain import is measured next to what is compared with it, because the load of a
machine changes within minutes; of several pairs the one with the median ratio counts.
"""

import dataclasses
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.limits import Figure, Limit, judge
from infra.config.checks import load_settings
from infra.config.loading import Settings
from infra.constructs.release import Release
from infra.stacks.estate import stacks
from infra.synthesis.cdktf_seam import synthesize
from pipelines.declarations.asset import Table
from pipelines.declarations.feature_table import FeatureTable
from pipelines.declarations.registry import use_case
from pipelines.declarations.use_case import UseCase

TEAMS = (1, 10, 33, 100)
REPEATS = 3
BINDINGS = "the plain import of the bindings"
SHIPPED = Limit(what="synthesis of all shipped stacks", alternative=BINDINGS, at_most=0.51)
LARGEST = Limit(what=f"synthesis for {TEAMS[-1]} teams in 3 environments", alternative=BINDINGS, at_most=2.0)
LIMITS = (SHIPPED, LARGEST)
"""5 s and 20 s on the machine of docs/figures.md, where the import takes 9.7 s."""
PLAIN_IMPORT = "import cdktf_cdktf_provider_azurerm, cdktf_cdktf_provider_azuread, cdktf_cdktf_provider_databricks"


def main() -> int:
    """Print growth and limits; return 1 if a time is above its limit."""
    pairs = [(_shipped(), _plain()) for _ in range(REPEATS)]
    own, plain = sorted(pairs, key=lambda pair: pair[0] / pair[1])[REPEATS // 2]
    print("teams   resources   seconds   per 1,000 resources")
    largest, before = 0.0, plain
    for count in TEAMS:
        before = _plain() if count == TEAMS[-1] else before
        resources, largest = _at(count)
        print(f"{count:5d}   {resources:9,d}   {largest:7.1f}   {largest / resources * 1000:19.2f}")
    return judge(
        [
            Figure(limit=SHIPPED, seconds=own, alternative_seconds=plain),
            Figure(limit=LARGEST, seconds=largest, alternative_seconds=(before + _plain()) / 2),
        ]
    )


def _plain() -> float:
    return _seconds("-c", PLAIN_IMPORT)


def _shipped() -> float:
    with tempfile.TemporaryDirectory() as folder:
        return _seconds("-m", "infra", "synth", "--out", folder)


def _seconds(*arguments: str) -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)  # noqa: S603 - our own commands
    return time.perf_counter() - begun


def _at(teams: int) -> tuple[int, float]:
    """Return resources and seconds of a synthesis with that many teams, in a process of its own."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.synth", str(teams)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - this module
    return int(json.loads(done.stdout)["resources"]), time.perf_counter() - begun


def synthesize_teams(teams: int) -> int:
    """Synthesize an estate of that many teams and return its number of resources."""
    settings, declared = estate_of(teams)
    release = Release(commit="0" * 40, wheel="any.whl", wheel_path="any.whl", wheel_source="any.whl")
    planned = stacks(settings, declared, release)
    with tempfile.TemporaryDirectory() as folder:
        synthesize(planned, Path(folder))
    return sum(len(stack.resources) for stack in planned)


def estate_of(teams: int) -> tuple[Settings, Sequence[UseCase]]:
    """Return settings with that many teams, each with one use case, a renamed copy of the largest shipped one."""
    shipped = load_settings()
    declared = [_renamed(use_case("flight_delay"), f"use_case_{index}") for index in range(teams)]
    made = tuple(
        shipped.teams[0].model_copy(update={"name": f"team_{index}", "use_cases": (use_case.name,)})
        for index, use_case in enumerate(declared)
    )
    return dataclasses.replace(shipped, teams=made), declared


def _renamed(use_case: UseCase, name: str) -> UseCase:
    """Return the use case under another name, and with it every table and the model."""

    def table(declared: Table) -> Table:
        return dataclasses.replace(declared, use_case=name)

    def feature_table(declared: FeatureTable) -> FeatureTable:
        further = tuple(table(source) for source in declared.further_sources)
        return dataclasses.replace(
            declared, table=table(declared.table), source=table(declared.source), further_sources=further
        )

    return dataclasses.replace(
        use_case,
        name=name,
        sources=tuple(dataclasses.replace(source, table=table(source.table)) for source in use_case.sources),
        features=tuple(feature_table(declared) for declared in use_case.features),
        labels=feature_table(use_case.labels),
        spine=dataclasses.replace(use_case.spine, table=table(use_case.spine.table)),
        lookups=tuple(dataclasses.replace(lookup, table=table(lookup.table)) for lookup in use_case.lookups),
        model=dataclasses.replace(use_case.model, use_case=name),
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps({"resources": synthesize_teams(int(sys.argv[1]))}))
    else:
        raise SystemExit(main())
