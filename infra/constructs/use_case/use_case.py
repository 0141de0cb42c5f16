"""Everything a use case has in an environment: its schemas, volume, model, experiment, notebook and endpoint."""

import base64
from dataclasses import dataclass

from databricks.sdk.service.catalog import VolumeType
from databricks.sdk.service.iam import PermissionLevel
from databricks.sdk.service.workspace import ExportFormat, Language

from infra.config.model import Team
from infra.config.naming import Kind, logical_id
from infra.constructs.deployment import Deployment
from infra.constructs.use_case.notebooks import orchestrator
from infra.constructs.use_case.serving import serving_declaration
from infra.constructs.workspace.catalog import Lakehouse, grants, json_file
from infra.constructs.workspace.compute import Compute, permit
from infra.permissions.access import Permission, model_grants, permissions, schema_grants, volume_grants
from infra.permissions.rights import Object
from infra.synthesis.stack import Provider, Resource, Stack
from pipelines.declarations.asset import Layer
from pipelines.declarations.use_case import UseCase

ROOT_FOLDER = "/lakehouse"
LANDING = "landing"


@dataclass(frozen=True, kw_only=True)
class UseCaseFrame:
    """What every construct of a use case needs around it.

    Attributes
    ----------
    runner
        Application id of the service principal that runs the jobs.
    receivers
        Those of the environments that copy the use case's model from this one.
    """

    use_case: UseCase
    team: Team
    deployment: Deployment
    lakehouse: Lakehouse
    shared: Compute
    runner: str
    receivers: tuple[str, ...]
    folder: Resource
    experiments: Resource
    provider: Provider

    @property
    def only(self) -> frozenset[str]:
        """The use case alone, as permissions take it."""
        return frozenset({self.use_case.name})


def folder(stack: Stack, use_case: UseCase, *, deployment: Deployment, runner: str, provider: Provider) -> Resource:
    """Add the workspace folder of a use case, with its permissions."""
    made = stack.add(
        "databricks_directory", logical_id(use_case.name), provider=provider, path=f"{ROOT_FOLDER}/{use_case.name}"
    )
    people = permissions(Object.FOLDER, deployment.holders, frozenset({use_case.name}))
    manage = [Permission(principal=runner, level=PermissionLevel.CAN_MANAGE)]
    label = logical_id("folder", use_case.name)
    permit(stack, label, {"directory_path": made.attribute("path")}, people, manage, provider)
    return made


def experiments_folder(stack: Stack, *, runner: str, provider: Provider) -> Resource:
    """Add the folder of all experiments; outside ``/Shared``, which everybody in a workspace may change."""
    made = stack.add("databricks_directory", "experiments", provider=provider, path=f"{ROOT_FOLDER}/experiments")
    manage = [Permission(principal=runner, level=PermissionLevel.CAN_MANAGE)]
    permit(stack, "folder_experiments", {"directory_path": made.attribute("path")}, [], manage, provider)
    return made


def use_case_data(stack: Stack, frame: UseCaseFrame) -> None:
    """Add a use case's schemas, its landing volume and its registered model, with who may do what in each."""
    deployment, catalog, provider = frame.deployment, frame.lakehouse.catalog, frame.provider
    schemas = {layer: _schema(stack, frame, layer) for layer in Layer}
    volume = stack.add(
        "databricks_volume",
        logical_id(frame.use_case.name, LANDING),
        provider=provider,
        prevent_destroy=deployment.settings.locks,
        catalog_name=catalog.attribute("name"),
        schema_name=schemas[Layer.BRONZE].attribute("name"),
        name=LANDING,
        volume_type=VolumeType.MANAGED.value,
        owner=frame.runner,
        comment=f"source files of {frame.use_case.name}, as delivered",
    )
    files = volume_grants(deployment.holders, frame.use_case.name, frame.runner)
    grants(stack, logical_id(frame.use_case.name, LANDING), {"volume": volume.id}, files, provider)
    model = stack.add(
        "databricks_registered_model",
        logical_id(frame.use_case.name, frame.use_case.model.name),
        provider=provider,
        prevent_destroy=deployment.settings.locks,
        catalog_name=catalog.attribute("name"),
        schema_name=schemas[Layer.MODELS].attribute("name"),
        name=frame.use_case.model.name,
        owner=frame.runner,
        comment=frame.use_case.model.comment,
    )
    loading = model_grants(deployment.holders, frame.use_case.name, frame.runner, frame.receivers)
    grants(stack, logical_id(frame.use_case.name, "model"), {"model": model.id}, loading, provider)
    # Profiles of single tables need the tables, which the first runs make; this watches whatever the schema will hold.
    stack.add(
        "databricks_data_quality_monitor",
        logical_id(frame.use_case.name, Layer.INFERENCE),
        provider=provider,
        object_type="schema",
        object_id=schemas[Layer.INFERENCE].attribute("schema_id"),
        anomaly_detection_config={},
    )


def _schema(stack: Stack, frame: UseCaseFrame, layer: Layer) -> Resource:
    name = f"{frame.use_case.name}_{layer}"
    schema = stack.add(
        "databricks_schema",
        logical_id(name),
        provider=frame.provider,
        prevent_destroy=frame.deployment.settings.locks,
        catalog_name=frame.lakehouse.catalog.attribute("name"),
        name=name,
        owner=frame.runner,
        comment=f"{layer} of {frame.use_case.name}: {frame.use_case.description}",
        properties=dict(frame.deployment.tags(frame.team, frame.use_case.name)),
    )
    given = schema_grants(
        name,
        use_case=frame.use_case.name,
        layer=layer,
        holders=frame.deployment.holders,
        usage=frame.deployment.usage,
        runner=frame.runner,
        receivers=frame.receivers,
    )
    grants(stack, logical_id(name), {"schema": schema.id}, given, frame.provider)
    return schema


def use_case_workspace(stack: Stack, frame: UseCaseFrame) -> None:
    """Add a use case's experiment and orchestrator notebook, and its endpoint where settings want one."""
    name, provider = frame.use_case.name, frame.provider
    path = frame.folder.attribute("path")
    experiment = stack.add(
        "databricks_mlflow_experiment",
        logical_id(name),
        provider=provider,
        prevent_destroy=frame.deployment.settings.locks,
        name=f"{frame.experiments.attribute('path')}/{name}",
        tags=[{"key": key, "value": value} for key, value in frame.deployment.tags(frame.team, name).items()],
    )
    people = permissions(Object.EXPERIMENT, frame.deployment.holders, frame.only)
    manage = [Permission(principal=frame.runner, level=PermissionLevel.CAN_MANAGE)]
    permit(stack, logical_id("experiment", name), {"experiment_id": experiment.id}, people, manage, provider)
    text = orchestrator(
        frame.use_case,
        environment=frame.deployment.environment,
        wheel_path=f"{RELEASES_PATH.format(catalog=frame.deployment.environment)}/{frame.deployment.release.wheel}",
    )
    stack.add(
        "databricks_notebook",
        logical_id(name, "orchestrator"),
        provider=provider,
        depends_on=(frame.lakehouse.wheel,),
        path=f"{path}/orchestrator",
        language=Language.PYTHON.value,
        format=ExportFormat.SOURCE.value,
        content_base64=base64.b64encode(text.encode()).decode(),
    )
    _endpoint(stack, frame)


RELEASES_PATH = "/Volumes/{catalog}/deployment/releases"
"""The releases volume as people and notebooks write it; equal to the volume's own path once it exists."""


def _endpoint(stack: Stack, frame: UseCaseFrame) -> None:
    """Add the empty endpoint and the declaration from which the training job fills it (see `infra.constructs.use_case.serving`)."""
    stated, name, provider = frame.deployment.settings.serving, frame.use_case.name, frame.provider
    if stated is None:
        return
    endpoint_name = frame.deployment.name(Kind.ENDPOINT, name)
    endpoint = stack.add(
        "databricks_model_serving",
        logical_id(name),
        provider=provider,
        ignore_changes=("config", "ai_gateway"),
        name=endpoint_name,
        tags=[{"key": key, "value": value} for key, value in frame.deployment.tags(frame.team, name).items()],
    )
    people = permissions(Object.ENDPOINT, frame.deployment.holders, frame.only)
    manage = [Permission(principal=frame.runner, level=PermissionLevel.CAN_MANAGE)]
    target = {"serving_endpoint_id": endpoint.attribute("serving_endpoint_id")}
    permit(stack, logical_id("endpoint", name), target, people, manage, provider)
    declaration = serving_declaration(
        frame.use_case, catalog=frame.deployment.environment, endpoint=endpoint_name, stated=stated
    )
    file_path = f"{frame.lakehouse.releases_path}/serving/{name}.json"
    json_file(stack, logical_id("serving", name), file_path, declaration, provider)
