"""Where MLflow shows the runs and models of a local environment, where `ui` serves it beside the page.

The routes are those of MLflow's own pages (https://github.com/mlflow/mlflow/blob/master/mlflow/server/js/src/experiment-tracking/routes.ts).
A page that is opened from disk has nobody behind these addresses: `SERVED` marks the one that is served, and shows them there alone.
"""

from dataclasses import dataclass
from urllib.parse import quote

PLAIN, SERVED = b'<html lang="en">', b'<html lang="en" class="served">'
"""How a page begins as it is written, and as it is served."""


@dataclass(frozen=True, kw_only=True)
class MlflowLinks:
    """The addresses of one use case in one environment.

    Attributes
    ----------
    model
        The name of its model in the registry.
    experiment_id
        Of its runs; None if it has none.
    """

    environment: str
    model: str
    experiment_id: str | None = None

    @property
    def home(self) -> str:
        """The first page."""
        return f"{prefix(self.environment)}/"

    @property
    def experiment(self) -> str | None:
        """All its runs; None if there is none."""
        return None if self.experiment_id is None else f"{self.home}#/experiments/{self.experiment_id}"

    def version(self, number: int) -> str:
        """Return the address of a version of its model."""
        return f"{self.home}#/models/{quote(self.model, safe='')}/versions/{number}"

    def run(self, run_id: str, trained_in: str | None = None) -> str:
        """Return the address of a run.

        Parameters
        ----------
        trained_in
            The environment whose store has the run, where it is another one: a copy keeps the run of the version that it is of.
        """
        return f"{prefix(trained_in or self.environment)}/#/runs/{quote(run_id, safe='')}"


def prefix(environment: str) -> str:
    """Return what the path of every address of an environment's MLflow begins with."""
    return f"/mlflow/{environment}"


def as_served(page: bytes) -> bytes:
    """Return a page as it is served: its links into MLflow are shown."""
    return page.replace(PLAIN, SERVED, 1)
