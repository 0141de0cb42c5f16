"""What stays of a use case or a team that is retired: everything that holds data, unmanaged; the rest is destroyed."""

from collections.abc import Iterable

from infra.config.model import RetiredTeam
from infra.config.naming import logical_id
from infra.constructs.use_case.data import LANDING
from infra.synthesis.stack import Stack
from pipelines.declarations.asset import OWN_LAYERS


def keep_retired_team(stack: Stack, team: RetiredTeam) -> None:
    """Forget the secrets of a team, whose values are in no state, and the data of its use cases, without destroying them."""
    stack.forget("databricks_secret_scope", logical_id(team.name))
    for use_case in team.use_cases:
        keep_retired_data(stack, use_case)
    keep_shared_schemas(stack, team.retired_shared)


def keep_retired_data(stack: Stack, use_case: str) -> None:
    """Forget the schemas, the landing volume, the model and the experiment of a use case without destroying them.

    Parameters
    ----------
    use_case
        Its name; its model has the same one, as the template gives it.
    """
    for layer in OWN_LAYERS:
        stack.forget("databricks_schema", logical_id(f"{use_case}_{layer}"))
    stack.forget("databricks_volume", logical_id(use_case, LANDING))
    stack.forget("databricks_registered_model", logical_id(use_case, use_case))
    stack.forget("databricks_mlflow_experiment", logical_id(use_case))


def keep_shared_schemas(stack: Stack, schemas: Iterable[str]) -> None:
    """Forget the schemas of shared feature tables of retired use cases, which no declaration names any more."""
    for schema in schemas:
        stack.forget("databricks_schema", logical_id(schema))
