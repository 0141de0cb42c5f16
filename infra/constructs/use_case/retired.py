"""What stays of a use case that its team has retired: everything that holds data, unmanaged; the rest is destroyed."""

from infra.config.naming import logical_id
from infra.constructs.use_case.data import LANDING
from infra.synthesis.stack import Stack
from pipelines.declarations.asset import Layer


def keep_retired_data(stack: Stack, use_case: str) -> None:
    """Forget the schemas, the landing volume, the model and the experiment of a use case without destroying them.

    Parameters
    ----------
    use_case
        Its name; its model has the same one, as the template gives it.
    """
    for layer in Layer:
        stack.forget("databricks_schema", logical_id(f"{use_case}_{layer}"))
    stack.forget("databricks_volume", logical_id(use_case, LANDING))
    stack.forget("databricks_registered_model", logical_id(use_case, use_case))
    stack.forget("databricks_mlflow_experiment", logical_id(use_case))
