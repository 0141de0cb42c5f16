"""The data of a use case in an environment: its schemas, its volumes and its registered model, with their grants."""

from collections.abc import Sequence

from databricks.sdk.service.catalog import VolumeType

from infra.config.naming import logical_id
from infra.constructs.use_case.context import UseCaseContext
from infra.permissions.grants import Holder, model_grants, schema_grants, volume_grants
from infra.synthesis.stack import Resource
from pipelines.declarations.asset import Layer, shared_schema
from pipelines.declarations.standard_tables import CHECKPOINTS

LANDING = "landing"


def use_case_data(context: UseCaseContext) -> None:
    """Add the schemas, the volume and the model of a use case, and who may do what in each."""
    schemas = {layer: _schema(context, name, layer) for name, layer in context.use_case.schemas.items()}
    for table in context.use_case.formerly_shared:
        context.workspace.stack.forget("databricks_schema", logical_id(shared_schema(context.use_case.name, table)))
    _landing_volume(context, schemas[Layer.BRONZE])
    if context.use_case.streaming:
        _checkpoints_volume(context, schemas[Layer.INFERENCE])
    _model(context, schemas[Layer.MODELS])
    if context.is_branch:
        return
    # A profile of a single table needs the table, which the first run makes; this one monitors all tables of a schema.
    context.workspace.add(
        "databricks_data_quality_monitor",
        context.use_case.name,
        Layer.INFERENCE,
        object_type="schema",
        object_id=schemas[Layer.INFERENCE].attribute("schema_id"),
        anomaly_detection_config={},
    )


def _schema(context: UseCaseContext, name: str, layer: Layer) -> Resource:
    workspace, use_case = context.workspace, context.use_case
    schema = workspace.add(
        "databricks_schema",
        name,
        prevent_destroy=workspace.deployment.settings.locks,
        catalog_name=context.catalog.name,
        name=name,
        owner=workspace.job_principal,
        comment=f"{layer} of {use_case.name}: {use_case.description}",
        force_destroy=True if context.is_branch else None,
        properties=context.tags,
    )
    given = schema_grants(
        name,
        use_case=use_case.name,
        layer=layer,
        holders=workspace.deployment.holders,
        usage=workspace.deployment.usage,
        job_principal=workspace.job_principal,
        receivers=context.receivers,
    )
    workspace.grant(name, to=given, schema=schema.id)
    return schema


def _landing_volume(context: UseCaseContext, bronze: Resource) -> None:
    name = context.use_case.name
    _volume(
        context, bronze, LANDING, holders=context.workspace.deployment.holders,
        comment=f"source files of {name}, as delivered",
    )  # fmt: skip


def _checkpoints_volume(context: UseCaseContext, inference: Resource) -> None:
    """Add the volume of the stream's checkpoints, which its job alone may read and write.

    A checkpoint must be where Unity Catalog keeps watch (https://learn.microsoft.com/azure/databricks/structured-streaming/unity-catalog).
    """
    name = context.use_case.name
    _volume(
        context, inference, CHECKPOINTS, holders=(),
        comment=f"how far the stream of {name} has read; who removes it scores nothing twice",
    )  # fmt: skip


def _volume(context: UseCaseContext, schema: Resource, label: str, *, holders: Sequence[Holder], comment: str) -> None:
    """Add a managed volume of the use case's job with the files' grants of the holders."""
    workspace, name = context.workspace, context.use_case.name
    volume = workspace.add(
        "databricks_volume",
        name,
        label,
        prevent_destroy=workspace.deployment.settings.locks,
        catalog_name=context.catalog.name,
        schema_name=schema.attribute("name"),
        name=label,
        volume_type=VolumeType.MANAGED.value,
        owner=workspace.job_principal,
        comment=comment,
    )
    workspace.grant(name, label, to=volume_grants(holders, name, workspace.job_principal), volume=volume.id)


def _model(context: UseCaseContext, schema: Resource) -> None:
    workspace, use_case = context.workspace, context.use_case
    model = workspace.add(
        "databricks_registered_model",
        use_case.name,
        use_case.model.name,
        prevent_destroy=workspace.deployment.settings.locks,
        catalog_name=context.catalog.name,
        schema_name=schema.attribute("name"),
        name=use_case.model.name,
        owner=workspace.job_principal,
        comment=use_case.model.comment,
    )
    loading = model_grants(workspace.deployment.holders, use_case.name, workspace.job_principal, context.receivers)
    workspace.grant(use_case.name, "model", to=loading, model=model.id)
