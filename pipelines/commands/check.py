"""Check what use cases declare: names, types, keys, readers, builders, estimators and their parameters.

Nothing is read and nothing is written. Builders are called once, on rows that have the declared columns and no values.
All mistakes are reported at once; `run` checks the same first, as far as its job needs it.

Examples
--------
  python -m pipelines check
  python -m pipelines check flight_delay
"""

from ml.spec.errors import DeclarationError
from pipelines.command_line.console import Console
from pipelines.commands.options import OneUseCase
from pipelines.declarations.registry import declared
from pipelines.declarations.use_case import UseCase


def run(
    use_case: OneUseCase = None,
) -> int:
    """Say what was checked; exit code 2 with every mistake if there is one."""
    console = Console()
    sound, mistakes = declared(use_case)
    with console.working("checking declarations"):
        if sound:
            from pipelines.declared_code.mistakes import code_mistakes
            from pipelines.lakehouse.engines.embedded import session

            mistakes += [mistake for one in sound for mistake in code_mistakes(one, session())]
    if mistakes:
        raise DeclarationError("\n".join(mistakes))
    for one in sound:
        console.line(f"{one.name}: {_looked_at(one)}; no mistake")
    return 0


def _looked_at(use_case: UseCase) -> str:
    parts = {
        "reader": use_case.sources,
        "builder": (*use_case.features, use_case.labels, use_case.inputs_builder),
        "lookup": use_case.lookups,
        "input": use_case.inputs,
        "estimator": use_case.estimators,
    }
    return ", ".join(f"{len(found)} {kind}{'s' * (len(found) != 1)}" for kind, found in parts.items())
