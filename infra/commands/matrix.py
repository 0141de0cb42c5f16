"""Print who may do what in which environment, as a Markdown table.

Example
-------
  python -m infra matrix
"""

from infra.build.release import current_release
from infra.commands.options import SettingsFolder
from infra.config.checks import load_settings
from infra.config.loading import FOLDER, Settings
from infra.description.permission_matrix import MatrixRow, as_markdown, permission_matrix
from infra.graph.declared import as_synthesized
from infra.graph.estate import Estate
from infra.graph.paths import whole_graph
from infra.stacks.estate import stacks
from pipelines.declarations.registry import use_cases


def run(
    settings: SettingsFolder = FOLDER,
) -> int:
    """Print the matrix."""
    print(as_markdown(matrix(load_settings(settings))), end="")
    return 0


def matrix(settings: Settings) -> tuple[MatrixRow, ...]:
    """Return the matrix of the stacks that the settings make."""
    made = as_synthesized(stacks(settings, use_cases(), current_release()))
    return permission_matrix(whole_graph(Estate(made, settings), use_cases()), settings, use_cases())
