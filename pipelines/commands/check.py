"""Check what use cases declare: names, types, keys, readers, builders, estimators and their parameters.

Nothing is read and nothing is written. Builders are called once, on rows that have the declared columns and no values.
Shared feature tables are compared with what their readers rely on. All mistakes are reported at once; `run` checks the same
first, as far as its job needs it. With --noise, estimators and gate also judge pure noise, whose value decides when its label is
known: no model of it may become champion.

Examples
--------
  python -m pipelines check
  python -m pipelines check flight_delay
  python -m pipelines check air_time --noise
"""

from collections.abc import Sequence
from typing import Annotated

import typer

from ml.spec.errors import DeclarationError
from pipelines.command_line.console import Console
from pipelines.commands.options import OneUseCase
from pipelines.declarations.registry import declared
from pipelines.declarations.shared_features import owners_of, sharing_mistakes
from pipelines.declarations.use_case import UseCase

NOISE_SEED = 1


def run(
    use_case: OneUseCase = None,
    noise: Annotated[
        bool, typer.Option("--noise", help="Also let estimators and gate judge labels of pure noise.")
    ] = False,
) -> int:
    """Say what was checked; exit code 2 with every mistake if there is one, 1 if more noise is promoted than chance allows."""
    console = Console()
    sound, mistakes = declared(use_case)
    with console.working("checking declarations"):
        if sound:
            from pipelines.declared_code.mistakes import code_mistakes
            from pipelines.lakehouse.engines.embedded import session

            mistakes += [mistake for one in sound for mistake in code_mistakes(one, session())]
    if not mistakes:
        everyone, unread = (sound, []) if use_case is None else declared()
        # Of the others only what concerns this one: whose table it reads, and who reads its tables.
        mistakes = _of_owners(sound, unread) if unread else sharing_mistakes(everyone, about=use_case)
    if mistakes:
        raise DeclarationError("\n".join(mistakes))
    for one in sound:
        console.line(f"{one.name}: {_looked_at(one)}; no mistake")
    held = [_holds_on_noise(one, console) for one in sound] if noise else []
    return 0 if all(held) else 1


def _of_owners(readers: Sequence[UseCase], unread: Sequence[str]) -> list[str]:
    """Return a sentence for each owner of a table that is read whose own declaration cannot be: nothing can be said of the table."""
    return [
        f"use case {one.name}: it reads shared features of {owner}, whose own declaration is wrong: {mistake}"
        for one in readers
        for owner in owners_of(one)
        for mistake in unread
        if f"/{owner}/" in mistake
    ]


def _holds_on_noise(use_case: UseCase, console: Console) -> bool:
    from pipelines.canary import run_canary

    with console.working(f"{use_case.name} on noise"):
        record = run_canary(use_case, seed=NOISE_SEED)
    console.line(f"{use_case.name}: {record.sentence}")
    return record.held


def _looked_at(use_case: UseCase) -> str:
    parts = {
        "reader": use_case.sources,
        "builder": (*use_case.features, use_case.labels, use_case.inputs_builder),
        "lookup": use_case.lookups,
        **({"shared table": use_case.shared_features} if use_case.shared_features else {}),
        "input": use_case.inputs,
        "estimator": use_case.estimators,
    }
    return ", ".join(f"{len(found)} {kind}{'s' * (len(found) != 1)}" for kind, found in parts.items())
