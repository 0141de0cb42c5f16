"""The few ways in which a mutant changes stacks; the tables of the classes name what they change and to what."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.mutants.world import ENVIRONMENTS, Content, NotApplicableError, World, filled

STRICT = ("staging", "prod")
ANY = ENVIRONMENTS
ACCOUNT = ("account",)
Change = Callable[[World], None]


@dataclass(frozen=True, kw_only=True)
class Operator:
    """One kind of change.

    Attributes
    ----------
    harmful
        Whether it weakens something; fixed here, before any check has run.
    """

    name: str
    change: Change
    harmful: bool = True


def names(world: World, stack: str) -> dict[str, str]:
    """Return what the words in angle brackets stand for in one stack."""
    environment = stack.split("-")[0]
    here = environment if environment in ENVIRONMENTS else "prod"
    other = world.random.choice([name for name in ENVIRONMENTS if name != here])
    lower = [name for name in ENVIRONMENTS[: ENVIRONMENTS.index(here)] if name != here] or [other]
    return {
        "env": here,
        "other": other,
        "lower": world.random.choice(lower),
        "hex": f"{world.random.getrandbits(128):032x}",
        "uuid": _uuid(world),
        "number": str(world.random.randrange(10**5, 10**6)),
    }


def _uuid(world: World) -> str:
    text = f"{world.random.getrandbits(128):032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def setting(
    kind: str,
    path: str,
    *values: Any,
    where: tuple[str, ...] = STRICT,
    fits: Callable[[Content], bool] | None = None,
    harmful: bool = True,
) -> Operator:
    """Set the argument at a dotted path to one of the values; blocks on the way are made."""

    def change(world: World) -> None:
        target = world.pick(kind, where, fits)
        value = filled(world.random.choice(values), names(world, target.stack))
        *blocks, last = path.split(".")
        for block in _blocks(target.arguments, blocks):
            if block.get(last) == value:
                raise NotApplicableError(f"{path} is {value!r} already")
            block[last] = value

    return Operator(name=f"{kind}: {path} = {' | '.join(map(str, values))[:60]}", change=change, harmful=harmful)


def without(kind: str, path: str, *, where: tuple[str, ...] = STRICT, harmful: bool = True) -> Operator:
    """Take an argument away."""

    def change(world: World) -> None:
        *blocks, last = path.split(".")
        target = world.pick(kind, where, lambda arguments: any(last in b for b in _found(arguments, blocks)))
        for block in _found(target.arguments, blocks):
            block.pop(last, None)

    return Operator(name=f"{kind}: without {path}", change=change, harmful=harmful)


def appending(
    kind: str,
    path: str,
    *values: Any,
    where: tuple[str, ...] = STRICT,
    fits: Callable[[Content], bool] | None = None,
    harmful: bool = True,
) -> Operator:
    """Add one of the values to the list at a dotted path."""

    def change(world: World) -> None:
        target = world.pick(kind, where, fits)
        value = filled(world.random.choice(values), names(world, target.stack))
        *blocks, last = path.split(".")
        for block in _blocks(target.arguments, blocks):
            present = block.get(last) or []
            block[last] = [*(present if isinstance(present, list) else [present]), value]

    return Operator(name=f"{kind}: {path} + {str(values[0])[:60]}", change=change, harmful=harmful)


def dropping(
    kind: str,
    *,
    where: tuple[str, ...] = STRICT,
    fits: Callable[[Content], bool] | None = None,
    harmful: bool = True,
) -> Operator:
    """Take a resource away."""

    def change(world: World) -> None:
        world.remove(world.pick(kind, where, fits))

    return Operator(name=f"drop {kind}", change=change, harmful=harmful)


def adding(kind: str, part: str, *choices: Content, where: tuple[str, ...] = STRICT, harmful: bool = True) -> Operator:
    """Add a resource to the account's stack, or to the stack of that part of an environment."""

    def change(world: World) -> None:
        stack = part if part == "account" else f"{world.random.choice(where)}-{part}"
        arguments = filled(world.random.choice(choices), names(world, stack))
        world.add(stack, kind, f"added_{world.random.randrange(1000)}", arguments)

    return Operator(name=f"add {kind} to {part}", change=change, harmful=harmful)


def custom(name: str, change: Change, *, harmful: bool = True) -> Operator:
    """Change in a way of its own."""
    return Operator(name=name, change=change, harmful=harmful)


def _blocks(arguments: Content, path: list[str]) -> list[Content]:
    """Return all blocks at a path, made where there is none."""
    found = [arguments]
    for step in path:
        for block in found:
            block.setdefault(step, {})
        found = _found_in(found, step)
    return found


def _found(arguments: Content, path: list[str]) -> list[Content]:
    found = [arguments]
    for step in path:
        found = _found_in(found, step)
    return found


def _found_in(blocks: list[Content], step: str) -> list[Content]:
    inner = [block[step] for block in blocks if step in block]
    return [one for value in inner for one in (value if isinstance(value, list) else [value]) if isinstance(one, dict)]
