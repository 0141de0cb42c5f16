"""Show an environment: is it data, model or platform; alerts with their run-books, champions, last runs, findings.

With --remote as it is deployed.

Examples
--------
  python -m pipelines status --env prod --root demo
  python -m pipelines status flight_delay --env prod --root demo
  python -m pipelines status --env prod --remote
"""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.spec.errors import LakehouseError
from pipelines.command_line.console import Console
from pipelines.commands.options import ENGINE, ROOT, EngineName, EnvironmentName, OneUseCase, Root, named_or_all, opened
from pipelines.commands.remote.options import Profile, RemoteFlag, at_workspace, refuse_contradictions
from pipelines.commands.remote.status import show_remote_status
from pipelines.declarations.use_case import UseCase
from pipelines.execution.windows import finding_label, window_label
from pipelines.lakehouse.engines.choice import LOCAL
from pipelines.on_call.alerts import STANDING, standing
from pipelines.on_call.cause import errors_of

if TYPE_CHECKING:
    from pipelines.lakehouse.lakehouse import Lakehouse

SHOWN_FINDINGS = 12
SHOWN_ESTIMATES = 8


def run(
    use_case: OneUseCase = None,
    env: EnvironmentName = "dev",
    engine: EngineName = None,
    root: Root = None,
    remote: RemoteFlag = False,
    profile: Profile = None,
) -> int:
    """Print what the tables and the registry of an environment record; exit code 1 if one of a use case is damaged."""
    console = Console()
    refuse_contradictions(remote=remote, profile=profile, engine=engine, root=root)
    shown = named_or_all(use_case)
    if remote:
        return at_workspace(env, profile, console, lambda connected: show_remote_status(connected, console, shown))
    code = 0
    with opened(env, engine, root, must_exist=True) as lakehouse:
        for one in shown:
            console.line(f"{one.name} in {env}: {one.description}", style="bold")
            try:
                _show(lakehouse, one, console, _place(engine, root))
            except LakehouseError as error:  # a damaged table of one use case hides no other
                console.line(f"what to look at: platform: {error}")
                code = code or error.exit_code
    return code


def _show(lakehouse: "Lakehouse", use_case: UseCase, console: Console, place: str) -> None:
    from pipelines.on_call.local_condition import condition_of

    condition = condition_of(lakehouse, use_case, place=place)
    console.line(f"what to look at: {condition.cause.sentence}")
    for error in errors_of(condition.runs, said=condition.cause.sentence):
        console.line(f"  {error}")
    if not condition.runs and not lakehouse.models.versions(use_case.model):
        return  # nothing more is known of it
    name, team, environment = use_case.name, use_case.team, lakehouse.environment.name
    rows = standing(condition.alerts, use_case=name, team=team, environment=environment, place=place)
    console.table("alerts", STANDING, rows)
    _show_model(lakehouse, use_case, console)
    _show_quality(lakehouse, use_case, console)
    _show_runs(condition.runs, console)
    _show_findings(lakehouse, use_case, console)


def _place(engine: str | None, root: Path | None) -> str:
    """Return the option by which a command reaches the same environment."""
    return f"--root {shlex.quote(str(root or ROOT))}" if (engine or ENGINE) in LOCAL else "--remote"


def _show_model(lakehouse: "Lakehouse", use_case: UseCase, console: Console) -> None:
    from pipelines.lakehouse.registry.rollout_state import current_rollout

    versions = lakehouse.models.versions(use_case.model)
    console.table(
        f"versions of {use_case.model.address}",
        ("version", "copied from", "aliases", "estimator", "trained until", "cause", "verdict"),
        [
            (v.number, v.tags.get("copied_from"), ", ".join(sorted(v.aliases)) or None, v.tags.get("estimator"),
             v.tags.get("trained_until", "")[:10], v.tags.get("cause"), v.tags.get("verdict"))
            for v in versions
        ],
    )  # fmt: skip
    rollout = current_rollout(lakehouse.models, use_case.model)
    if rollout is not None:
        console.line(f"rollout: {rollout.sentence}")
    for verdict in _newest(lakehouse, use_case, "verdicts", "decided_at", 1):
        console.line(f"last verdict ({verdict['decided_at']:%Y-%m-%d}): {verdict['sentence']}")


def _show_quality(lakehouse: "Lakehouse", use_case: UseCase, console: Console) -> None:
    """Print the champion's quality as estimated without labels, and as realised on the labels that have arrived."""
    rows = _newest(lakehouse, use_case, "estimates", "window_start", SHOWN_ESTIMATES)
    names = ("estimated", "realised", "error", "standard_error", "labelled", "predictions")
    console.table(
        "quality estimated without labels, and realised on the labels that have arrived",
        ("window", "alias", "version", "metric", *(name.replace("_", " ") for name in names)),
        [
            (
                window_label(row["window_start"], use_case.monitoring.window),
                row["alias"],
                row["model_version"],
                row["metric"],
                *(row[name] for name in names),
            )
            for row in sorted(rows, key=lambda row: (row["window_start"], row["alias"], row["metric"]))
        ],
    )


def _show_runs(runs: Sequence[Mapping[str, Any]], console: Console) -> None:
    traced = ("trace",) if any(row["trace_id"] for row in runs) else ()
    console.table(
        "last run of each task",
        ("job", "task", "state", "started", "seconds", "rows", *traced),
        [
            (
                row["job"],
                row["task"],
                row["state"],
                f"{row['started_at']:%Y-%m-%d %H:%M:%S}",
                f"{row['seconds']:>7,.1f}",
                row["rows"],
                *(row["trace_id"] for _ in traced),
            )
            for row in runs
        ],
    )


def _show_findings(lakehouse: "Lakehouse", use_case: UseCase, console: Console) -> None:
    rows = _newest(lakehouse, use_case, "findings", "window_start", SHOWN_FINDINGS)
    console.table(
        "newest findings",
        ("window", "kind", "since", "finding"),
        [
            (
                finding_label(row["window_start"], row["kind"], use_case.monitoring.window),
                row["kind"],
                f"{row['since']:%Y-%m-%d}",
                row["message"],
            )
            for row in rows
        ],
    )


def _newest(lakehouse: "Lakehouse", use_case: UseCase, table: str, by: str, limit: int) -> list[dict[str, Any]]:
    rows = lakehouse.tables.read(use_case.table(table))
    found: list[dict[str, Any]] = rows.orderBy(rows[by].desc()).limit(limit).toArrow().to_pylist()
    return found
