"""``matrix``: print who may do what in which environment, as a Markdown table."""

from infra.commands.options import SettingsFolder
from infra.config.checks import load_settings
from infra.config.loading import FOLDER
from infra.description.permission_matrix import as_markdown, permission_matrix
from pipelines.declarations.registry import use_cases


def run(
    settings: SettingsFolder = FOLDER,
) -> int:
    """Print the matrix."""
    print(as_markdown(permission_matrix(load_settings(settings), use_cases())), end="")
    return 0
