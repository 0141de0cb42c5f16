"""Write the report: what happened in an environment month by month, and why each decision was taken.

Examples
--------
  python -m pipelines report --env prod --root demo --use-case flight_delay
  python -m pipelines report --env staging --root demo --use-case air_time --out staging.html
"""

from pipelines.command_line.console import Console
from pipelines.commands.options import (
    ENGINE,
    ROOT,
    EngineName,
    EnvironmentName,
    OptionalUseCase,
    OutputFile,
    Root,
    require_used,
)
from pipelines.declarations.environment import ENVIRONMENTS
from pipelines.declarations.registry import use_case as use_case_named
from pipelines.lakehouse.engines.choice import LOCAL


def run(
    use_case: OptionalUseCase = None,
    out: OutputFile = None,
    env: EnvironmentName = "dev",
    engine: EngineName = None,
    root: Root = None,
) -> int:
    """Write the report of an environment, compared with the others where they can be read."""
    console = Console()
    declared = use_case_named(use_case) if use_case else None
    require_used(env, engine, root)
    folder, chosen = root or ROOT, engine or ENGINE
    # On Databricks a workspace sees its own catalog only; the folder of a laptop holds all environments.
    compared = tuple(ENVIRONMENTS) if chosen in LOCAL else (env,)
    from pipelines.report.writing import only_use_case, write_report

    declared = declared or only_use_case(folder, env, engine=chosen)
    with console.working(f"reading {', '.join(compared)}"):
        file = write_report(folder, declared, environments=compared, main=env, engine=chosen, out=out)
    console.line(f"wrote {file}; open it in a browser.")
    return 0
