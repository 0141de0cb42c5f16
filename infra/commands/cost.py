"""Estimate what each environment costs in a month, from its settings and the dated price table.

Examples
--------
  python -m infra cost
  python -m infra cost prod --json build/cost.json
"""

import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from infra.build.release import current_release
from infra.commands.options import SettingsFolder
from infra.config.checks import load_settings
from infra.config.loading import FOLDER
from infra.config.prices import FILE, PriceTable, read_own_prices, read_prices
from infra.config.stack_names import environment_of
from infra.description.cost import CostPart, as_markdown, missing_prices, parts, rows, unused_prices
from infra.stacks.estate import stacks
from pipelines.declarations.environment import environment as environment_named
from pipelines.declarations.registry import use_cases


def run(
    environment: Annotated[
        str | None, typer.Argument(metavar="ENVIRONMENT", help="dev, staging or prod. Default: all.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the table there, for `pipelines ui --cost`.")
    ] = None,
    parts_file: Annotated[
        Path | None,
        typer.Option(
            "--parts", metavar="FILE", help="Write each part with its quantity as numbers there, for `review`."
        ),
    ] = None,
    settings: SettingsFolder = FOLDER,
) -> int:
    """Print the table in Markdown, the prices that are missing, and those that price nothing."""
    if environment is not None:
        environment_named(environment)
    found, prices = estimate(settings)
    chosen = [part for part in found if environment in (None, part.environment)]
    table = rows(chosen, prices)
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(table, indent=1), encoding="utf-8")
    if parts_file is not None:
        parts_file.parent.mkdir(parents=True, exist_ok=True)
        parts_file.write_text(json.dumps([dataclasses.asdict(part) for part in chosen], indent=1), encoding="utf-8")
    print(as_markdown(table))
    file = Path("infra/settings" if settings == FOLDER else settings, FILE).as_posix()
    if missing := missing_prices(chosen, prices):
        print(f"\nno price for: {', '.join(missing)}. Add rows to {file}, each with its source and date.")
    if (own := read_own_prices(settings)) and (unused := unused_prices(found, own)):
        print(f"\nwithout effect in {file}: {'; '.join(unused)}")
    return 0


def estimate(folder: Path = FOLDER) -> tuple[tuple[CostPart, ...], PriceTable]:
    """Return the parts of every environment, and the prices."""
    loaded = load_settings(folder)
    counts: dict[str, Counter[str]] = {name: Counter() for name in loaded.environments}
    for stack in stacks(loaded, use_cases(), current_release()):
        if (name := environment_of(stack.name)) in counts:
            counts[name].update(one.type for one in stack.resources.values() if not one.is_data)
    found = [
        part for name, stated in loaded.environments.items() for part in parts(name, stated, counts[name], use_cases())
    ]
    return tuple(found), read_prices(folder)
