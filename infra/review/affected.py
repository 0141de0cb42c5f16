"""What a change affects: which stacks must be deployed where, and which use cases' jobs must run, from the changed paths.

The decision is `affected`, a pure function. The source files of a stack are read from the imports (`sources_of_stacks`).
`infra.review.changed_paths` asks git for the changed paths.

A path that no rule covers affects everything: deploying too much costs minutes, deploying too little goes unnoticed.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import grimp

from infra.build.release import ROOT
from infra.config.stack_names import ACCOUNT, Part, all_stacks, applied_by, environment_of, part_of
from pipelines.declarations.environment import ENVIRONMENTS

PROSE = ".md"
"""Files for people alone. The wheel contains some of them, which no job reads."""
NOTHING_DEPLOYED = (
    "docs/*", "tests/*", "benchmarks/*", ".azuredevops/*", ".ci/*", ".gitignore", ".importlinter", ".npmrc",
    "LICENSE", "Makefile", "cdktf.json", "package.json", "package-lock.json", "infra/settings/schema/*",
    "infra/waivers.yaml", "infra/ceilings.yaml", "infra/graph/*", "requirements/audit.*", "requirements/dev.*", "requirements/peers.*", "requirements/uv.*",
)  # fmt: skip
"""Paths that no stack is made from."""
CODE_OF_JOBS = (
    "ml/*",
    "pipelines/*",
    "pyproject.toml",
    "requirements/build.*",
    "requirements/job.*",
    "infra/build/reproducible_wheel.py",
)
"""What the wheel is built from, and what builds it."""


@dataclass(frozen=True, kw_only=True)
class DeployableParts:
    """Everything that a change may affect.

    Attributes
    ----------
    use_cases
        The declared use cases.
    connected
        ``account`` and the environments whose settings name a place for their state; no pipeline deploys the others.
    sources
        The source files of each part, as paths from the root of the repository.
    """

    use_cases: tuple[str, ...]
    connected: frozenset[str]
    sources: Mapping[Part, frozenset[str]]


@dataclass(frozen=True, kw_only=True)
class Affected:
    """What must be done after a change.

    Attributes
    ----------
    stacks
        The stacks to deploy with the identity of the account and of each environment, in order; empty for none.
    use_cases
        The use cases whose jobs must run as an integration test.
    reasons
        One sentence each, for every decision.
    """

    stacks: Mapping[str, tuple[str, ...]]
    use_cases: tuple[str, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Effect:
    """The stacks that one path affects, and the use cases whose jobs it affects."""

    stacks: frozenset[str]
    use_cases: tuple[str, ...] = ()
    why: str


def affected(paths: Collection[str] | None, deployable: DeployableParts) -> Affected:
    """Decide what a change affects.

    Parameters
    ----------
    paths
        What differs from the last deployed commit, from the root of the repository; None if there is no such commit,
        which affects everything.
    deployable
        Everything that a change may affect.

    Returns
    -------
    Affected
        With a reason per path that affects something and per environment that is left out.
    """
    effects = {path: _effect(path, deployable) for path in sorted(paths or ())}
    if paths is None:
        effects = {"everything": _everything(deployable, "there is no deployed commit to compare with")}
    names = frozenset[str]().union(*(effect.stacks for effect in effects.values()))
    barriers = {stack: _barrier(stack, deployable.connected) for stack in all_stacks() if stack in names}
    run = {name for effect in effects.values() for name in effect.use_cases}
    words = [f"{path}: {effect.why}" for path, effect in effects.items() if effect.stacks]
    return Affected(
        stacks={
            place: tuple(stack for stack in applied_by(place) if barriers.get(stack) == "")
            for place in (ACCOUNT, *ENVIRONMENTS)
        },
        use_cases=tuple(name for name in deployable.use_cases if name in run),
        reasons=(
            *(words or ["nothing that is deployed has changed"]),
            *dict.fromkeys(barrier for barrier in barriers.values() if barrier),
        ),
    )


def sources_of_stacks() -> dict[Part, frozenset[str]]:
    """Return the source files of each kind of stack: those that its module imports, directly or through others.

    What the synthesis imports and no kind of stack does, such as the seam to cdktf, belongs to all of them.
    """
    imports = grimp.build_graph("infra", "pipelines", "ml", cache_dir=None)
    sources = {part: _sources(f"infra.stacks.{part}", imports) for part in Part}
    shared = _sources("infra.commands.synth", imports) - frozenset().union(*sources.values())
    return {part: files | shared for part, files in sources.items()}


def _sources(module: str, imports: grimp.ImportGraph) -> frozenset[str]:
    stems = (name.replace(".", "/") for name in {module, *imports.find_upstream_modules(module)})
    return frozenset(f"{stem}.py" if (ROOT / f"{stem}.py").is_file() else f"{stem}/__init__.py" for stem in stems)


def _effect(path: str, deployable: DeployableParts) -> _Effect:
    if path.endswith(PROSE):
        return _Effect(stacks=frozenset(), why="no stack is made from it")
    name, _, rest = path.removeprefix("pipelines/use_cases/").partition("/")
    if path.startswith("pipelines/use_cases/") and rest:
        of = tuple(known for known in deployable.use_cases if known == name)
        return _Effect(stacks=_everywhere({Part.WORKSPACE}), use_cases=of, why=f"the use case {name}")
    if path.startswith("infra/settings/") and path.endswith(".yaml"):
        return _settings(path.removeprefix("infra/settings/").removesuffix(".yaml"), deployable)
    parts = {part for part, files in deployable.sources.items() if path in files}
    if _is_one_of(path, CODE_OF_JOBS):
        # Other stacks may be made with a declaration too; what a job runs is always in the workspace stack.
        stacks = _everywhere(parts | {Part.WORKSPACE})
        return _Effect(stacks=stacks, use_cases=deployable.use_cases, why="code that every job runs")
    if parts:
        words = ", ".join(part.replace("_", " ") for part in Part if part in parts)
        run = deployable.use_cases if Part.WORKSPACE in parts else ()
        return _Effect(stacks=_everywhere(parts), use_cases=run, why=f"{words} stacks are made with it")
    if _is_one_of(path, NOTHING_DEPLOYED) or (path.startswith("infra/") and path.endswith(".py")):
        return _Effect(stacks=frozenset(), why="no stack is made from it")
    return _everything(deployable, "no rule covers it")


def _settings(stated: str, deployable: DeployableParts) -> _Effect:
    """Return what a settings file affects: never a job, because a job reads its declaration and not the settings."""
    if stated in ENVIRONMENTS:
        # Its groups and budgets are in the account stack. Which environments it reads, and whether it is connected, also
        # changes the stacks of the others: members of the workspace, grants, private endpoints.
        return _Effect(stacks=_everywhere(set(Part)), why=f"the settings of {stated}")
    if stated in (ACCOUNT, "teams"):
        return _Effect(stacks=_everywhere(set(Part)), why="settings that all environments share")
    return _everything(deployable, "no rule covers it")


def _everything(deployable: DeployableParts, why: str) -> _Effect:
    return _Effect(stacks=_everywhere(set(Part)), use_cases=deployable.use_cases, why=why)


def _everywhere(parts: Collection[Part]) -> frozenset[str]:
    """Return the stacks of these kinds in every environment."""
    return frozenset(stack for stack in all_stacks() if part_of(stack) in parts)


def _is_one_of(path: str, patterns: Collection[str]) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in patterns)


def _barrier(stack: str, connected: Collection[str]) -> str:
    """Return why no pipeline deploys a stack; empty if one does. An environment is only deployed after its predecessor."""
    place = environment_of(stack)
    order: list[str] = []
    step = None if place == ACCOUNT else place
    while step is not None:
        order.append(step)
        step = ENVIRONMENTS[step].receives_from
    if part_of(stack) in (Part.ACCOUNT, Part.ENVIRONMENT_ACCOUNT):
        order.append(ACCOUNT)
    missing = [name for name in reversed(order) if name not in connected]
    if not missing:
        return ""
    what = place if part_of(stack) is not Part.ENVIRONMENT_ACCOUNT else stack
    return f"{what} is not deployed by pipelines: the settings of {' and '.join(missing)} name no `state`"
