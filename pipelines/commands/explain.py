"""Explain single predictions of a model version: by how much each input moved the score of a request.

The values are Shapley values in the unit of the score: with the mean score of a hundred training rows they add up to it. They
say what the model did, not what would happen if an input were changed. Of several classes it is the probability of the
predicted one. Where costs of errors are declared, the decision is told with what each one is expected to cost. Nothing is written.

Examples
--------
  python -m pipelines explain flight_delay 3 --key 2013-03-01-UA-100-EWR --env prod
  python -m pipelines explain flight_delay 3 --key KEY --key OTHER
"""

from typing import Annotated

import typer

from pipelines.command_line.console import Console
from pipelines.commands.options import EngineName, EnvironmentName, Root, UseCaseName, VersionNumber, opened
from pipelines.declarations.environment import environment
from pipelines.declarations.registry import use_case as use_case_named


def run(
    use_case: UseCaseName,
    version: VersionNumber,
    key: Annotated[
        list[str], typer.Option("--key", metavar="KEY", help="Key of a scored request; repeat for several.")
    ],
    env: EnvironmentName = "dev",
    engine: EngineName = None,
    root: Root = None,
) -> int:
    """Print a table for each request, the input that moved its score most first."""
    console = Console()
    declared = use_case_named(use_case)
    environment(env)
    with opened(env, engine, root, must_exist=True) as lakehouse:
        from pipelines.explanation import explain_requests

        recorded = lakehouse.models.version(declared.model, version)
        found = explain_requests(lakehouse, declared, recorded, list(dict.fromkeys(key)))
    for one in found:
        rows = [(c.input, c.value, f"{c.added:+.4f}") for c in one.contributions]
        of_class = f" of {one.predicted_class}" if one.predicted_class else ""
        title = f"{one.request_key}: score{of_class} {one.score:.4f}, {one.score - one.expected:+.4f} from the mean {one.expected:.4f}"
        console.table(title, ("input", "value", "added"), rows)
        if one.expected_costs and declared.costs:
            amounts = ", ".join(f"{name} {cost:.4g}" for name, cost in one.expected_costs.items())
            unit = f", in {declared.costs.unit}" if declared.costs.unit else ""
            console.line(f"decision: {one.decision}; expected cost of each{unit}: {amounts}.")
        console.line(f"by {one.method}; the mean and all that inputs added are the score of version {version}.")
    return 0
