"""Versions of the registry, each loaded and tried on rows that were stored before it answers a request."""

from collections.abc import Callable

from ml.spec.errors import LakehouseError
from pipelines.declarations.use_case import UseCase
from pipelines.lakehouse.lakehouse import Lakehouse
from pipelines.lakehouse.registry.rollout_state import RolloutState, current_rollout
from pipelines.scoring.declared import scoring_function
from pipelines.scoring.fastest import fastest
from pipelines.scoring.function import ScoringFunction
from pipelines.scoring.kept_libraries import KeptLibraries
from pipelines.serving.versions import Loaded
from pipelines.tasks.predictions.batch_model import stored_inputs


class RefusedVersionError(LakehouseError):
    """A version that fails on rows that were stored."""


class Registry:
    """The versions of a use case's model behind an alias."""

    def __init__(
        self, lakehouse: Lakehouse, use_case: UseCase, alias: str, say: Callable[[str], None],
        kept: KeptLibraries | None = None,
    ) -> None:  # fmt: skip
        self._lakehouse = lakehouse
        self._use_case = use_case
        self._alias = alias
        self._say = say
        self._kept = kept
        self._rows = stored_inputs(lakehouse, use_case)

    def current(self) -> int | None:
        """Return the number of the version behind the alias; None if there is none."""
        found = self._lakehouse.models.find_alias(self._use_case.model, self._alias)
        return None if found is None else found.number

    def rollout(self) -> RolloutState | None:
        """Return the rollout that goes on; None without one."""
        return current_rollout(self._lakehouse.models, self._use_case.model)

    def load(self, number: int) -> Loaded:
        """Return a version whose files are those that were registered, and which scores the stored rows.

        Raises
        ------
        ModelFilesError
            If its files are missing, others, or cannot be loaded.
        RefusedVersionError, PredictionError
            If it fails on stored rows.
        """
        models, model = self._lakehouse.models, self._use_case.model
        version = models.version(model, number)
        function, fitted = models.load_served(version)
        if function is None:
            function = scoring_function(self._use_case)
            self._say(f"version {number} was registered without its scoring function: the declared one is used")
        self._require_inputs(function)
        chosen, how = fastest(fitted, function, self._rows, digest=version.digest, kept=self._kept)
        return Loaded(number=number, function=function, model=chosen, how=how)

    def _require_inputs(self, function: ScoringFunction) -> None:
        absent = [name for name in function.inputs if name not in self._rows.column_names]
        if absent:
            raise RefusedVersionError(
                f"it takes {', '.join(absent)}, which the stored rows of this use case do not have."
            )
