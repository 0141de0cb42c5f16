"""Which environment a command plans, applies to or compares: the real one, or an offline one in a folder."""

from pathlib import Path

from infra.commands.options import offline_states
from infra.config.checks import load_settings
from infra.config.stack_names import ACCOUNT
from infra.releases.target import Target, target_of
from ml.spec.errors import RequestError
from pipelines.declarations.mistakes import unknown


def target(environment: str, *, settings: Path, out: Path, offline: bool, states: Path | None) -> Target:
    """Return the environment that the arguments name.

    Raises
    ------
    RequestError
        If there is none of that name, or the options contradict.
    """
    folder = offline_states(offline=offline, states=states)
    loaded = load_settings(settings)
    known = {ACCOUNT, *loaded.environments}
    if environment not in known:
        raise RequestError(unknown("environment", environment, known))
    return target_of(environment, loaded, offline_folder=folder, folder=out.resolve().parent)
