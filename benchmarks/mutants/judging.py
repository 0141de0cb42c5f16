"""Judges mutants with the checks of the product, and counts what they stop."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.mutants.mutant import CLASSES, draw
from benchmarks.mutants.settings import BAD, LEGITIMATE
from infra.build.release import current_release
from infra.checks.finding import PolicyFinding
from infra.checks.registry import CHECKS, findings
from infra.config.checks import load_settings
from infra.config.loading import Settings, SettingsError
from infra.graph.declared import as_synthesized
from infra.graph.proof import prove
from infra.stacks.estate import stacks as estate_stacks
from infra.terraform_cli.synthesized import SynthesizedStack
from pipelines.declarations.registry import use_cases


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What became of one class of mutants.

    Attributes
    ----------
    survivors
        Harmful mutants that nothing stopped, by name and seed.
    false_alarms
        Harmless changes that were stopped.
    """

    of: str
    harmful: int
    survivors: tuple[str, ...] = ()
    false_alarms: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The class and its kill rate."""
        return f"{self.of:42} {self.harmful - len(self.survivors)}/{self.harmful} stopped"


def shipped() -> tuple[Mapping[str, SynthesizedStack], Settings]:
    """Return the stacks of the shipped settings, and the settings."""
    settings = load_settings()
    return as_synthesized(estate_stacks(settings, use_cases(), current_release())), settings


def judged_stacks(
    stacks: Mapping[str, SynthesizedStack],
    settings: Settings,
    seed: str,
    each: int,
    classes: Sequence[str] = tuple(CLASSES),
) -> Iterator[Tally]:
    """Yield the tally of each class, with `each` mutants drawn from a seed."""
    proven = set(prove(stacks, settings, use_cases()))
    before = set(_checked(stacks))
    for of in classes:
        harmful, survivors, alarms = 0, [], []
        for mutant in draw(stacks, of, seed, each):
            # The other checks are slower, and only asked where the proof finds nothing.
            found = set(prove(mutant.stacks, settings, use_cases())) - proven or set(_checked(mutant.stacks)) - before
            label = f"{mutant.name} ({mutant.seed})"
            if mutant.harmful:
                harmful += 1
                survivors += [] if found else [label]
            elif found:
                alarms.append(label)
        yield Tally(of=of, harmful=harmful, survivors=tuple(survivors), false_alarms=tuple(alarms))


def _checked(stacks: Mapping[str, SynthesizedStack]) -> Iterator[PolicyFinding]:
    return (finding for check in CHECKS for finding in check.findings(stacks))


def judged_settings(every: int = 1) -> Iterator[Tally]:
    """Yield the tally of bad settings, which are to be refused, and of legitimate ones, whose stacks are to pass.

    Parameters
    ----------
    every
        Judge one of each so many: the suite takes a share.
    """
    bad, legitimate = BAD[::every], LEGITIMATE[::every]
    with tempfile.TemporaryDirectory() as folder:
        survivors = [
            change.name
            for number, change in enumerate(bad)
            if _refusal(change.written(Path(folder) / str(number))) is None
        ]
    yield Tally(of="settings", harmful=len(bad), survivors=tuple(survivors))
    alarms = []
    for change in legitimate:
        with tempfile.TemporaryDirectory() as folder:
            path = change.written(Path(folder))
            refused = _refusal(path)
            stopped = refused or _first_finding(load_settings(path))
        alarms += [f"{change.name}: {stopped}"] if stopped else []
    yield Tally(of=f"{len(legitimate)} legitimate changes", harmful=0, false_alarms=tuple(alarms))


def _refusal(folder: Path) -> str | None:
    try:
        load_settings(folder)
    except SettingsError as error:
        return str(error)
    return None


def _first_finding(settings: Settings) -> str:
    made = as_synthesized(estate_stacks(settings, use_cases(), current_release()))
    found = findings(made, settings, use_cases())
    return f"{found[0].resource}: {found[0].message}" if found else ""
