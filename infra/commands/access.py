"""Say what a principal can do in each environment, or who can do what with an object, and by which path.

Examples
--------
  python -m infra access --who mrd-ml-engineering --env prod
  python -m infra access --what prod.air_time_bronze
"""

import re
from collections.abc import Iterator
from typing import Annotated

import typer

from infra.build.release import current_release
from infra.commands.options import SettingsFolder
from infra.config.checks import load_settings
from infra.config.loading import FOLDER
from infra.graph.declared import as_synthesized
from infra.graph.estate import Estate
from infra.graph.paths import Graph, Path, sentence, whole_graph
from infra.stacks.estate import stacks
from ml.spec.errors import RequestError
from ml.spec.near_miss import did_you_mean, unknown
from pipelines.declarations.registry import use_cases

EPILOG = (
    "Reads settings and declarations alone: what is deployed once they are applied. Exit codes: 0 answered, also where the "
    "answer is nothing; 2 not possible."
)


def run(
    who: Annotated[
        str | None, typer.Option("--who", metavar="PRINCIPAL", help="A group, or an application such as app-mrd-prod.")
    ] = None,
    what: Annotated[
        str | None,
        typer.Option(
            "--what",
            metavar="OBJECT",
            help="A table's schema such as prod.air_time_bronze, a catalog, a job, an address.",
        ),
    ] = None,
    environment: Annotated[
        str | None, typer.Option("--env", metavar="ENV", help="Answer for one environment alone.")
    ] = None,
    settings: SettingsFolder = FOLDER,
) -> int:
    """Print one line for each answer: what can be done, and the path with the address of every step."""
    if (who is None) == (what is None):
        raise RequestError("give --who PRINCIPAL or --what OBJECT, and not both.")
    loaded = load_settings(settings)
    if environment is not None and environment not in loaded.environments:
        raise RequestError(
            f"--env {environment}: {did_you_mean(environment, loaded.environments)} It is none of {', '.join(loaded.environments)}."
        )
    estate = Estate(as_synthesized(stacks(loaded, use_cases(), current_release())), loaded)
    graph = whole_graph(estate, use_cases())
    lines = list(_reached(graph, str(who), environment) if what is None else _reaching(graph, what, environment))
    print("\n".join(lines))
    return 0


def _reached(graph: Graph, who: str, environment: str | None) -> Iterator[str]:
    start = _named(graph, who)
    for home, node, path in _answers(graph.closure(start), graph, environment):
        yield f"{home}: {path[-1].effect.value} {node}: {sentence(path)}"


def _reaching(graph: Graph, what: str, environment: str | None) -> Iterator[str]:
    target = _object(graph, what)
    ways = {
        start: path
        for start, path in graph.paths_to(target).items()
        if ":" in start and "/" not in start.partition(":")[0]
    }
    for home, node, path in _answers(ways, graph, None):
        if environment is None or home in (environment, "all"):
            yield f"{home}: {node} {path[-1].effect.value} it: {sentence(path)}"


def _answers(ways: dict[str, Path], graph: Graph, environment: str | None) -> list[tuple[str, str, Path]]:
    found = [(graph.nodes[node].home or "all", graph.nodes[node].words, path) for node, path in ways.items()]
    return sorted(
        (one for one in found if environment is None or one[0] == environment),
        key=lambda one: (one[0], len(one[2]), one[1]),
    )


def _named(graph: Graph, who: str) -> str:
    """Return the node of a principal by its name.

    Raises
    ------
    RequestError
        If no principal has that name.
    """
    known = {node.partition(":")[2]: node for node in graph.nodes if node.partition(":")[0] in _PRINCIPALS}
    if who not in known:
        raise RequestError(unknown("principal", who, known))
    return known[who]


_PRINCIPALS = frozenset({"role", "team", "company", "runner", "deployer"})


def _object(graph: Graph, what: str) -> str:
    """Return the node of an object: an address, a schema with its catalog, or the end of its words such as a job's name.

    Raises
    ------
    RequestError
        If no object, or more than one, has that name.
    """
    catalog, _, rest = what.partition(".")
    objects = [node for node in graph.nodes.values() if "/" in node.id or node.id.startswith(("workspace:", "state:"))]
    found = [node for node in objects if node.id == what]
    found = found or [node for node in objects if node.words == f"{catalog}'s schema {rest.partition('.')[0]}"]
    found = found or [node for node in objects if node.words.endswith(f" {what}")]
    if len(found) != 1:
        addresses = sorted(node.id for node in objects if re.match(r"[a-z-]+/[a-z_]+\.", node.id))
        schemas = [node.words.replace("'s schema ", ".") for node in objects if "'s schema " in node.words]
        named = [*addresses, *schemas]
        shown = (
            ", ".join(sorted(node.id for node in found))
            or (
                f"{did_you_mean(what, named)} Give a schema with its catalog, or an address that `synth` writes, such as "
                f"{addresses[-1]}."
            ).lstrip()
        )
        raise RequestError(f"--what {what}: {len(found) or 'no'} objects have that name. {shown}".rstrip())
    return found[0].id
