"""What a change affects: which stacks have to be deployed where, and whose jobs have to be run, from the changed paths.

The decision is `affected`, a pure function. Which module of the infrastructure takes part in which stack is not stated
by hand but read from the imports (`sources_of_stacks`). What git says has changed is asked by `infra.review.changed_paths`.

A path that no rule knows affects everything: deploying too much costs minutes, deploying too little is not noticed.
"""

import ast
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path

from pipelines.declarations.environment import ENVIRONMENTS

ACCOUNT = "account"


class Part(StrEnum):
    """The three kinds of stack, in the order in which they are deployed."""

    ACCOUNT = "account"
    PLATFORM = "platform"
    WORKSPACE = "workspace"


PROSE = ".md"
"""What is read by people alone. The wheel holds some of it, which no job reads."""
NOTHING_DEPLOYED = (
    "docs/*", "tests/*", "benchmarks/*", ".azuredevops/*", ".ci/*", ".gitignore", ".importlinter", ".npmrc",
    "LICENSE", "Makefile", "cdktf.json", "package.json", "package-lock.json", "infra/settings/schema/*",
    "infra/waivers.yaml", "requirements/audit.*", "requirements/dev.*", "requirements/peers.*", "requirements/uv.*",
)  # fmt: skip
"""What no stack is made of."""
CODE_OF_JOBS = ("ml/*", "pipelines/*", "pyproject.toml", "requirements/build.*", "infra/build/reproducible_wheel.py")
"""What the wheel is made of and with."""


@dataclass(frozen=True, kw_only=True)
class DeployableParts:
    """What there is to be affected.

    Attributes
    ----------
    use_cases
        The declared use cases.
    connected
        ``account`` and the environments whose settings name where their state is kept; the others were never deployed
        by anybody but their owner, so no pipeline touches them.
    sources
        The source files of each part, as paths from the root of the repository.
    """

    use_cases: tuple[str, ...]
    connected: frozenset[str]
    sources: Mapping[Part, frozenset[str]]


@dataclass(frozen=True, kw_only=True)
class Affected:
    """What has to be done about a change.

    Attributes
    ----------
    stacks
        The stacks to deploy of ``account`` and of each environment, in order; empty for none.
    use_cases
        The use cases whose jobs have to be run as an integration test.
    reasons
        One sentence each, for every decision.
    """

    stacks: Mapping[str, tuple[str, ...]]
    use_cases: tuple[str, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Effect:
    """What one path affects: these stacks, and the jobs of these use cases."""

    stacks: frozenset[str]
    use_cases: tuple[str, ...] = ()
    because: str


def affected(paths: Collection[str] | None, estate: DeployableParts) -> Affected:
    """Decide what a change affects.

    Parameters
    ----------
    paths
        What differs from the last deployed commit, from the root of the repository; None if there is none to compare
        with, which affects everything.
    estate
        What there is to be affected.

    Returns
    -------
    Affected
        With a reason per path that affects something and per environment that is left out.
    """
    effects = {path: _effect(path, estate) for path in sorted(paths or ())}
    if paths is None:
        effects = {"everything": _everything(estate, "there is no deployed commit to compare with")}
    names = frozenset[str]().union(*(effect.stacks for effect in effects.values()))
    wanted = {
        place: tuple(stack for stack in _stacks_of(place) if stack in names) for place in (ACCOUNT, *ENVIRONMENTS)
    }
    barred = {place: _barrier(place, estate.connected) for place, stacks in wanted.items() if stacks}
    run = {name for effect in effects.values() for name in effect.use_cases}
    told = [f"{path}: {effect.because}" for path, effect in effects.items() if effect.stacks]
    return Affected(
        stacks={place: () if barred.get(place) else stacks for place, stacks in wanted.items()},
        use_cases=tuple(name for name in estate.use_cases if name in run),
        reasons=(*(told or ["nothing that is deployed has changed"]), *filter(None, barred.values())),
    )


def sources_of_stacks(root: Path) -> dict[Part, frozenset[str]]:
    """Return the source files that take part in each kind of stack, followed through the imports.

    What the synthesis needs and no kind of stack imports, such as the seam to cdktf, takes part in all of them.
    """
    imports = _Imports(root)
    found = {part: imports.followed_from(f"infra.stacks.{part}") for part in Part}
    rest = imports.followed_from("infra.commands.synth") - frozenset().union(*found.values())
    return {part: files | rest for part, files in found.items()}


def _effect(path: str, estate: DeployableParts) -> _Effect:
    if path.endswith(PROSE):
        return _Effect(stacks=frozenset(), because="no stack is made of it")
    name, _, rest = path.removeprefix("pipelines/use_cases/").partition("/")
    if path.startswith("pipelines/use_cases/") and rest:
        of = tuple(known for known in estate.use_cases if known == name)
        return _Effect(stacks=_everywhere({Part.WORKSPACE}), use_cases=of, because=f"the use case {name}")
    if path.startswith("infra/settings/") and path.endswith(".yaml"):
        return _settings(path.removeprefix("infra/settings/").removesuffix(".yaml"), estate)
    parts = {part for part, files in estate.sources.items() if path in files}
    if _is_one_of(path, CODE_OF_JOBS):
        # A declaration can take part in other stacks too; what a job runs is always in the workspace.
        stacks = _everywhere(parts | {Part.WORKSPACE})
        return _Effect(stacks=stacks, use_cases=estate.use_cases, because="code that every job runs")
    if parts:
        told = ", ".join(part for part in Part if part in parts)
        run = estate.use_cases if Part.WORKSPACE in parts else ()
        return _Effect(stacks=_everywhere(parts), use_cases=run, because=f"{told} stacks are made with it")
    if _is_one_of(path, NOTHING_DEPLOYED) or (path.startswith("infra/") and path.endswith(".py")):
        return _Effect(stacks=frozenset(), because="no stack is made of it")
    return _everything(estate, "no rule says what it affects")


def _settings(stated: str, estate: DeployableParts) -> _Effect:
    """Return what a settings file affects: never a job, which reads its own declaration and not the settings."""
    if stated in ENVIRONMENTS:
        # Its groups and budgets are in the account. Whom it reads and whether it is connected shows in both stacks of the
        # others: who is admitted to a workspace, what is granted there, which network ways lead out of it.
        return _Effect(stacks=_everywhere(set(Part)), because=f"the settings of {stated}")
    if stated in (ACCOUNT, "teams"):
        return _Effect(stacks=_everywhere(set(Part)), because="settings that all environments share")
    return _everything(estate, "no rule says what it affects")


def _everything(estate: DeployableParts, because: str) -> _Effect:
    return _Effect(stacks=_everywhere(set(Part)), use_cases=estate.use_cases, because=because)


def _everywhere(parts: Collection[Part]) -> frozenset[str]:
    """Return the stacks of these kinds in every environment."""
    names = [stack for place in (ACCOUNT, *ENVIRONMENTS) for stack in _stacks_of(place)]
    return frozenset(stack for stack in names if any(stack.endswith(part) for part in parts))


def _stacks_of(place: str) -> tuple[str, ...]:
    return (ACCOUNT,) if place == ACCOUNT else (f"{place}-{Part.PLATFORM}", f"{place}-{Part.WORKSPACE}")


def _is_one_of(path: str, patterns: Collection[str]) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in patterns)


def _barrier(place: str, connected: Collection[str]) -> str:
    """Return why no pipeline deploys a place; an environment is deployed after the one it receives from, or not at all."""
    way: list[str] = [ACCOUNT] if place == ACCOUNT else []
    step = None if place == ACCOUNT else place
    while step is not None:
        way.append(step)
        step = ENVIRONMENTS[step].receives_from
    missing = [name for name in reversed(way) if name not in connected]
    if not missing:
        return ""
    return f"{place} is not deployed by pipelines: the settings of {' and '.join(missing)} name no `state`"


class _Imports:
    """Which of our files a module imports, read from the sources without running them."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def followed_from(self, module: str) -> frozenset[str]:
        found: set[str] = set()
        ahead = [module]
        while ahead:
            path = self._path(ahead.pop())
            if path is not None and path not in found:
                found.add(path)
                ahead.extend(self._names(path))
        return frozenset(found)

    def _path(self, module: str) -> str | None:
        stem = module.replace(".", "/")
        return next((path for path in (f"{stem}.py", f"{stem}/__init__.py") if (self._root / path).is_file()), None)

    def _names(self, path: str) -> Sequence[str]:
        names: list[str] = []
        for node in ast.walk(ast.parse((self._root / path).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names.extend(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.append(node.module)
                names.extend(f"{node.module}.{alias.name}" for alias in node.names)
        return [
            name
            for name in names
            if name.split(".")[0] == "infra" or name.startswith(("pipelines.declarations", "ml.spec"))
        ]
