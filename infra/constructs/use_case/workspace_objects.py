"""The workspace objects of a use case: its folder, experiment and orchestrator notebook."""

import base64

from databricks.sdk.service.iam import PermissionLevel
from databricks.sdk.service.workspace import ExportFormat, Language

from infra.constructs.use_case.context import UseCaseContext
from infra.constructs.use_case.notebooks import orchestrator
from infra.constructs.workspace.context import WorkspaceContext
from infra.permissions.roles import Object
from infra.synthesis.stack import Resource

ROOT_FOLDER = "/lakehouse"
RELEASES_PATH = "/Volumes/{catalog}/deployment/releases"
"""The releases volume as people and notebooks write it; equal to the volume's own path once it exists."""


def experiments_folder(workspace: WorkspaceContext) -> Resource:
    """Add the folder of all experiments; outside ``/Shared``, where everybody in a workspace may change everything."""
    made = workspace.add("databricks_directory", "experiments", path=f"{ROOT_FOLDER}/experiments")
    workspace.permit("folder", "experiments", jobs=PermissionLevel.CAN_MANAGE, directory_path=made.attribute("path"))
    return made


def use_case_folder(context: UseCaseContext) -> Resource:
    """Add the folder of a use case."""
    name = context.use_case.name
    made = context.workspace.add("databricks_directory", name, path=f"{ROOT_FOLDER}/{name}")
    path = made.attribute("path")
    context.permit(Object.FOLDER, "folder", name, jobs=PermissionLevel.CAN_MANAGE, directory_path=path)
    return made


def experiment(context: UseCaseContext) -> None:
    """Add the experiment in which the runs of a use case are recorded.

    Databricks adds tags of its own to an experiment and the provider's update sends its name alone, so a plan would
    show a change of tags for ever; tags that are changed here reach new experiments only
    (github.com/databricks/terraform-provider-databricks/blob/v1.99.0/mlflow/resource_mlflow_experiment.go).
    """
    workspace, name = context.workspace, context.use_case.name
    made = workspace.add(
        "databricks_mlflow_experiment",
        name,
        prevent_destroy=workspace.deployment.settings.locks,
        ignore_changes=("tags",),
        name=f"{context.experiments.attribute('path')}/{name}",
        tags=[{"key": key, "value": value} for key, value in context.tags.items()],
    )
    context.permit(Object.EXPERIMENT, "experiment", name, jobs=PermissionLevel.CAN_MANAGE, experiment_id=made.id)


def orchestrator_notebook(context: UseCaseContext, folder: Resource) -> None:
    """Add the notebook that calls the tasks of a use case one by one."""
    deployment, name = context.workspace.deployment, context.use_case.name
    folder_of_releases = RELEASES_PATH.format(catalog=deployment.environment)
    text = orchestrator(
        context.use_case,
        environment=deployment.environment,
        wheel_path=f"{folder_of_releases}/{deployment.release.wheel}",
        requirements_path=f"{folder_of_releases}/{deployment.release.requirements}",
    )
    context.workspace.add(
        "databricks_notebook",
        name,
        "orchestrator",
        depends_on=(context.catalog.wheel, context.catalog.requirements),
        path=f"{folder.attribute('path')}/orchestrator",
        language=Language.PYTHON.value,
        format=ExportFormat.SOURCE.value,
        content_base64=base64.b64encode(text.encode()).decode(),
    )
