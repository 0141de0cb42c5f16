"""The service credential with which jobs sign in to Azure Monitor, and the variables that switch their telemetry on."""

from collections.abc import Mapping

from databricks.sdk.service.catalog import CredentialPurpose, IsolationMode, Privilege

from infra.config.naming import ResourceKind
from infra.constructs.workspace.context import WorkspaceContext
from infra.permissions.grants import Grant
from infra.synthesis.stack import Resource
from pipelines.telemetry.settings import AZURE_MONITOR, CONNECTION, CREDENTIAL, SWITCH

LABEL = "telemetry"


def telemetry_credential(workspace: WorkspaceContext, *, connector_id: str) -> Resource:
    """Add the service credential, isolated to this workspace, which only the jobs may use.

    https://learn.microsoft.com/en-us/azure/databricks/connect/unity-catalog/cloud-services/service-credentials

    Parameters
    ----------
    connector_id
        Output of the platform stack: the access connector whose identity publishes to Application Insights.
    """
    jobs = workspace.job_principal
    credential = workspace.add(
        "databricks_credential",
        LABEL,
        name=workspace.deployment.name(ResourceKind.CREDENTIAL, LABEL),
        purpose=CredentialPurpose.SERVICE.value,
        azure_managed_identity={"access_connector_id": connector_id},
        isolation_mode=IsolationMode.ISOLATION_MODE_ISOLATED.value,
        owner=jobs,
        comment=f"publishes the telemetry of {workspace.deployment.environment}",
    )
    access = Grant(principal=jobs, privileges=frozenset({Privilege.ACCESS}))
    workspace.grant(LABEL, to=[access], credential=credential.attribute("name"))
    return credential


def telemetry_variables(credential: Resource, connection: str) -> Mapping[str, str]:
    """Return the environment variables of a job's cluster, which Databricks exports in quotes, on the driver and each worker.

    https://docs.databricks.com/api/azure/workspace/clusters/create (``spark_env_vars``)

    Parameters
    ----------
    connection
        The connection string of Application Insights, an output of the platform stack.
    """
    return {SWITCH: AZURE_MONITOR, CONNECTION: connection, CREDENTIAL: credential.attribute("name")}
