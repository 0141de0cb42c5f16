"""What is wrong with the inputs of a use case: who provides each, of which type, and what lookups join by."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pipelines.declarations.asset import Column
from pipelines.declarations.feature_table import Lookup
from pipelines.declarations.mistakes import unknown

if TYPE_CHECKING:
    from pipelines.declarations.use_case import UseCase

NUMBERS = ("int", "bigint", "double", "boolean")
CATEGORIES = ("string", "int", "bigint", "boolean")


def input_mistakes(use_case: "UseCase") -> Iterator[str]:
    """Yield what is wrong with the inputs, as far as it is known without calling the builder of inputs."""
    if not use_case.inputs:
        yield "numeric_inputs and categorical_inputs are empty; name at least one input."
    yield from (f"input {name!r} is named {n} times; name it once." for name, n in _repeated(use_case.inputs))
    yield from (f"slices: {name!r} is named {n} times; name it once." for name, n in _repeated(use_case.slices))
    for name in use_case.slices:
        if name not in use_case.categorical_inputs:
            yield f"slices: {unknown('categorical input', name, use_case.categorical_inputs)}"
    yield from _deprecation_mistakes(use_case)
    if use_case.spine.request_key in use_case.inputs:
        yield f"input {use_case.spine.request_key!r} is the request_key, which no later request shares: leave it out."
    yield from _key_mistakes(use_case)
    yield from _latency_mistakes(use_case)
    yield from _provider_mistakes(use_case)


def provided_by_lookup(lookup: Lookup) -> tuple[str, ...]:
    """Return the names that a lookup adds to the rows of the spine."""
    return (*lookup.columns.values(), *((lookup.age_as,) if lookup.age_as else ()))


def _repeated(names: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    yield from ((name, times) for name, times in Counter(names).items() if times > 1)


def _deprecation_mistakes(use_case: "UseCase") -> Iterator[str]:
    for name in dict.fromkeys(use_case.deprecated_inputs):
        if name not in use_case.inputs:
            yield (
                f"deprecated_inputs: {unknown('input', name, use_case.inputs)} One that no version in use needs is taken out of "
                "the declaration altogether."
            )
    if use_case.inputs and not use_case.fitted_inputs:
        yield "deprecated_inputs has every input, so a new version would have none; leave out those that it is fitted on."


def _key_mistakes(use_case: "UseCase") -> Iterator[str]:
    """Yield keys of lookups that the spine has not, or has in another type."""
    requested = {column.name: column for column in use_case.spine.table.columns}
    for lookup in use_case.lookups:
        keys = {column.name: column for column in lookup.table.columns}
        for name, key in lookup.keys.items():
            where = f"lookup of {lookup.table.name}"
            if name not in requested:
                yield f"{where}: {unknown('column of the spine', name, requested)}"
            elif key in keys and requested[name].type != keys[key].type:
                yield (
                    f"{where}: key {name!r} of the spine is a {requested[name].type} and {key!r} a {keys[key].type}; "
                    "declare one type for both."
                )


def _latency_mistakes(use_case: "UseCase") -> Iterator[str]:
    """Yield lookups that can find no row, because each is too old by the time it has reached its table."""
    waits = use_case.available_after
    for lookup in use_case.lookups:
        wait = waits.get(lookup.table.address, 0)
        if wait >= lookup.lookback_hours * 60:
            yield (
                f"lookup of {lookup.table.name}: rows reach their table after {wait} minutes (available_after_minutes) and count "
                f"for {lookup.lookback_hours} hours (lookback_hours), so none is ever found; give a longer lookback_hours."
            )


def _provider_mistakes(use_case: "UseCase") -> Iterator[str]:
    """Yield names that come from two places, and inputs whose column has no type that an estimator takes."""
    providers: dict[str, list[str]] = {column.name: ["the spine"] for column in use_case.spine.table.columns}
    columns: dict[str, Column] = {column.name: column for column in use_case.spine.table.columns}
    for lookup in use_case.lookups:
        stored: Mapping[str, Column] = {column.name: column for column in lookup.table.columns}
        for name in provided_by_lookup(lookup):
            providers.setdefault(name, []).append(f"the lookup of {lookup.table.name}")
        columns |= {name: stored[column] for column, name in lookup.columns.items() if column in stored}
    for name, places in providers.items():
        if len(places) > 1:
            yield f"{name!r} comes from {' and from '.join(places)}; give one of them another name."
    for kind, names, types in (
        ("numeric", use_case.numeric_inputs, NUMBERS),
        ("categorical", use_case.categorical_inputs, CATEGORIES),
    ):
        for name in names:
            # A name of the spine or of a lookup: the builder of inputs only adds columns.
            if name in columns and columns[name].type not in types:
                yield f"{kind} input {name!r} is a {columns[name].type}; give one of {', '.join(types)}."
