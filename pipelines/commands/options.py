"""Arguments that several commands share, each with its type and its help."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ml.spec.errors import RequestError
from pipelines.declarations.environment import ENVIRONMENTS, environment
from pipelines.declarations.registry import jobs, use_case, use_cases
from pipelines.lakehouse.engines.choice import ENGINES, LOCAL

if TYPE_CHECKING:
    from pipelines.declarations.use_case import UseCase
    from pipelines.lakehouse.lakehouse import Lakehouse

ENGINE = "embedded"
ROOT = Path("lakehouse")


def _environments() -> list[str]:
    return list(ENVIRONMENTS)


def _use_cases() -> list[str]:
    return [declared.name for declared in use_cases()]


def _jobs() -> list[str]:
    return [declared.address for declared in jobs()]


EnvironmentName = Annotated[
    str, typer.Option("--env", metavar="ENV", help=f"One of {', '.join(ENVIRONMENTS)}.", autocompletion=_environments)
]
EngineName = Annotated[
    str | None,
    typer.Option(
        "--engine", metavar="ENGINE", help=f"One of {', '.join(ENGINES)}. Default: {ENGINE}.",
        autocompletion=lambda: list(ENGINES),
    ),
]  # fmt: skip
Root = Annotated[
    Path | None,
    typer.Option(
        "--root",
        metavar="FOLDER",
        help=f"Folder of the local lakehouse; the databricks engine ignores it. Default: {ROOT}.",
    ),
]
Parameters = Annotated[
    list[str] | None, typer.Option("--param", metavar="NAME=VALUE", help="A parameter of the job; repeat for several.")
]
RunId = Annotated[str | None, typer.Option("--run-id", metavar="ID", help="Continue an earlier run.")]
JobAddress = Annotated[
    str, typer.Argument(metavar="JOB", help="<use case>.<job>; `list` shows them.", autocompletion=_jobs)
]
UseCaseName = Annotated[str, typer.Argument(metavar="USE_CASE", help="Name of a use case.", autocompletion=_use_cases)]
OneUseCase = Annotated[
    str | None,
    typer.Argument(metavar="[USE_CASE]", help="Name of a use case; without it, all.", autocompletion=_use_cases),
]
OptionalUseCase = Annotated[
    str | None, typer.Option("--use-case", metavar="NAME", help="Name of a use case.", autocompletion=_use_cases)
]
VersionNumber = Annotated[
    int, typer.Argument(metavar="VERSION", min=1, help="Number of the version; `status` shows them.")
]
Location = Annotated[
    str | None,
    typer.Option("--location", metavar="FOLDER", help="Folder of the source files. Default: where the readers look."),
]
OutputFile = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="File to write.")]


def named_or_all(name: str | None) -> "tuple[UseCase, ...]":
    """Return the use case of a name, or the branch of one; without a name every use case.

    Raises
    ------
    DeclarationError
        If there is none, with the nearest name.
    """
    return use_cases() if name is None else (use_case(name),)


def parameters_of(texts: Sequence[str] | None, *, allow_empty: bool = False) -> dict[str, str]:
    """Return what ``--param`` options give, by name.

    Parameters
    ----------
    allow_empty
        Whether ``name=`` stands for the parameter's empty default, as a deployed job hands it on.

    Raises
    ------
    RequestError
        If a text is not ``name=value``, has no value, or gives a name a second time.
    """
    given: dict[str, str] = {}
    mistakes = []
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            mistakes.append(f"--param {text!r} is not NAME=VALUE: write for example --param until=2025-04-01.")
        elif not value.strip() and not allow_empty:
            mistakes.append(f"--param {text!r} has no value: give one, or leave the parameter out.")
        elif name in given:
            mistakes.append(f"--param {name} is given twice, as {given[name]!r} and {value!r}: give it once.")
        else:
            given[name] = value
    if mistakes:
        raise RequestError(" ".join(mistakes))
    return given


def local_folder(env: str, engine: str | None, root: Path | None) -> Path | None:
    """Return the folder of a local environment; None on an engine that has none.

    Raises
    ------
    DeclarationError
        If there is no such environment.
    """
    folder = (root or ROOT) / environment(env).catalog
    return folder if (engine or ENGINE) in LOCAL else None


def require_used(env: str, engine: str | None, root: Path | None) -> None:
    """Refuse a local folder in which nothing has run; a command that reads must not make one.

    Raises
    ------
    RequestError
        If the folder does not exist.
    """
    folder = local_folder(env, engine, root)
    if folder is not None and not folder.is_dir():
        raise RequestError(
            f"nothing has run in {env!r} under {root or ROOT}: run a job there first, or name another environment or "
            "folder."
        )


@contextmanager
def opened(env: str, engine: str | None, root: Path | None, *, must_exist: bool = False) -> Iterator["Lakehouse"]:
    """Open an environment; the engine is loaded only once the names are known to be right.

    Parameters
    ----------
    must_exist
        Whether a folder in which nothing has run is refused.

    Raises
    ------
    RequestError
        If nothing has run where something must have.
    """
    environment(env)
    if must_exist:
        require_used(env, engine, root)
    from pipelines.lakehouse.lakehouse import open_lakehouse

    with open_lakehouse(env, engine=engine or ENGINE, root=root or ROOT) as lakehouse:
        yield lakehouse
