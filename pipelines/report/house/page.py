"""One page for the whole house: what is wrong first, then environments, use cases, lineage, runs and cost. It opens from disk."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ml.spec.errors import LakehouseError
from pipelines.declarations.environment import ENVIRONMENTS
from pipelines.declarations.shared_features import catalogue
from pipelines.declarations.use_case import UseCase
from pipelines.report.house.lineage_picture import lineage_picture, lineage_rows
from pipelines.report.house.reading import place_of, read_house, read_newest
from pipelines.report.house.records import House, PlacedUseCase
from pipelines.report.house.shared_tables import shared_lines
from pipelines.report.page import page_templates
from pipelines.report.records import EstateSummary
from pipelines.report.writing import write_report

FILE = "house.html"
PAGES = "pages"


def write_house(
    root: Path,
    use_cases: Sequence[UseCase],
    *,
    now: dt.datetime,
    estate: EstateSummary | None = None,
    cost: Sequence[Mapping[str, Any]] = (),
    with_reports: bool = True,
) -> Path:
    """Write the page of the whole house, and a report for each use case in each environment; return the page.

    Parameters
    ----------
    root
        The folder of the local environments.
    now
        When the page is made.
    with_reports
        Whether the reports are written as well; without them their links are left out.
    """
    placed, newest = read_house(root, use_cases), read_newest(root, use_cases)
    if with_reports:
        placed = tuple(_reported(root, use_cases, one, estate) for one in placed)
    placed = tuple(_with_picture(use_cases, one) for one in placed)
    shown = [one for one in use_cases if one.name in {found.use_case for found in placed}] or list(use_cases)
    house = House(
        environments=tuple(ENVIRONMENTS), placed=placed, made_at=now, estate=estate, cost=tuple(cost),
        pictures={one.name: lineage_picture(one, name=f"lineage-{one.name}") for one in shown},
        ways={one.name: lineage_rows(one) for one in shown},
        shared=shared_lines(catalogue(use_cases), newest),
        place=place_of(root),
    )  # fmt: skip
    file = root / FILE
    file.write_text(render_house(house), encoding="utf-8")
    return file


def render_house(house: House) -> str:
    """Return the page."""
    return page_templates().get_template("house.html").render(house=house, mlflow=_mlflow(house))


def _mlflow(house: House) -> dict[str, str]:
    """Return each environment in which something has run, with the address of its MLflow."""
    return {one.environment: one.links.home for one in house.placed if one.links is not None}


def _reported(
    root: Path, use_cases: Sequence[UseCase], placed: PlacedUseCase, estate: EstateSummary | None
) -> PlacedUseCase:
    if not placed.readable:
        return placed
    declared = next(one for one in use_cases if one.name == placed.use_case)
    folder = root / PAGES
    folder.mkdir(exist_ok=True)
    name = f"{placed.environment}-{placed.use_case}.html"
    try:
        write_report(root, declared, main=placed.environment, out=folder / name, estate=estate)
    except LakehouseError as error:  # of a table that this page does not show, or of another environment
        return replace(placed, failed=(*placed.failed, f"no report: {error}"))
    return replace(placed, report=f"{PAGES}/{name}")


def _with_picture(use_cases: Sequence[UseCase], placed: PlacedUseCase) -> PlacedUseCase:
    """Return a use case with the lineage of its champion."""
    champion = next((one for one in placed.versions if one["number"] == placed.champion), None)
    if champion is None:
        return placed
    declared = next(one for one in use_cases if one.name == placed.use_case)
    picture = lineage_picture(
        declared, name=f"lineage-{placed.environment}-{placed.use_case}", champion=placed.champion,
        made_from=dict(champion["tables"]),
    )  # fmt: skip
    return replace(placed, picture=picture)
