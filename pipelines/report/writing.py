"""Writes the report: `reading` fills the records from the environments, `page` turns them into HTML."""

from collections.abc import Sequence
from pathlib import Path

from ml.spec.errors import LakehouseError
from pipelines.declarations.environment import ENVIRONMENTS
from pipelines.declarations.registry import use_cases
from pipelines.declarations.use_case import UseCase
from pipelines.lakehouse.lakehouse import open_lakehouse
from pipelines.lakehouse.registry.aliases import BASELINE, CHAMPION
from pipelines.report.page import render
from pipelines.report.reading import exists, read_environment
from pipelines.report.records import EstateSummary, ReportRecords
from pipelines.tasks.versions.measured import EVALUATION

FILE = "report.html"


class NothingToReportError(LakehouseError, LookupError):
    """Nothing has run in the environment, or the use case has to be named; the message says what to run or to name."""

    exit_code = 2


def write_report(
    root: Path,
    use_case: UseCase,
    *,
    environments: Sequence[str] = tuple(ENVIRONMENTS),
    main: str = "prod",
    engine: str = "embedded",
    out: Path | None = None,
    estate: EstateSummary | None = None,
) -> Path:
    """Write the report of a use case as one HTML file.

    Parameters
    ----------
    root
        The folder of the local environments.
    environments
        Those that the report compares.
    main
        The environment reported month by month.
    out
        The file to write; ``report.html`` in `root` if not given.
    estate
        The cloud resources of the environments; left out of the page if not given.

    Raises
    ------
    NothingToReportError
        If nothing has run in `main`; no file is written then.
    """
    names = tuple(environments) if main in environments else (*environments, main)
    records = ReportRecords(
        use_case=use_case.name,
        description=use_case.description,
        team=use_case.team,
        problem=use_case.problem,
        policy=use_case.gate,
        drift_statistics=use_case.monitoring.statistics,
        window=use_case.monitoring.window,
        costs=use_case.costs,
        minimum_rows=use_case.monitoring.minimum_labelled,
        environments=tuple(read_environment(name, use_case, root, engine, whole=name == main) for name in names),
        main=main,
        champion=CHAMPION,
        baseline=BASELINE,
        evaluation=EVALUATION,
        estate=estate,
        unit=use_case.monitoring.metric_unit,
    )
    if not records.main_environment.runs:
        raise NothingToReportError(_nothing_has_run(main, root))
    file = out or root / FILE
    file.write_text(render(records), encoding="utf-8")
    return file


def only_use_case(root: Path, environment: str, *, engine: str = "embedded") -> UseCase:
    """Return the use case that has run in an environment.

    Raises
    ------
    NothingToReportError
        If none has, or more than one, with their names.
    """
    if not exists(environment, root, engine):
        raise NothingToReportError(_nothing_has_run(environment, root))
    with open_lakehouse(environment, engine=engine, root=root) as lakehouse:
        found = [declared for declared in use_cases() if lakehouse.tables.exists(declared.table("runs"))]
    if not found:
        raise NothingToReportError(_nothing_has_run(environment, root))
    if len(found) > 1:
        names = ", ".join(declared.name for declared in found)
        raise NothingToReportError(
            f"several use cases have run in {environment!r}: {names}. Say which with --use-case."
        )
    return found[0]


def _nothing_has_run(environment: str, root: Path) -> str:
    return f"nothing has run in {environment!r} under {root}: run a job there first, or name another environment or folder."
