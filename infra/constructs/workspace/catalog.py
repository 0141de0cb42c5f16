"""The environment's catalog: its storage credential, location and catalog, bound to one workspace alone.

Catalog, credential and location are isolated: only the workspace that creates them sees them. No resource binds a
catalog to its own workspace, because destroying that binding would fail. Another environment's workspace is bound
read-only where that environment's settings say that it reads this one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from databricks.sdk.service.catalog import (
    CatalogIsolationMode,
    IsolationMode,
    Privilege,
    VolumeType,
    WorkspaceBindingBindingType,
)

from infra.config.naming import ResourceKind
from infra.constructs.release import Release
from infra.constructs.workspace.context import WorkspaceContext
from infra.permissions.grants import Grant, catalog_grants, merged, volume_grants
from infra.synthesis.stack import Precondition, Resource

DEPLOYMENT_SCHEMA = "deployment"
RELEASES_VOLUME = "releases"


@dataclass(frozen=True, kw_only=True)
class EnvironmentCatalog:
    """What use cases build on: the catalog, and the volume with the released code."""

    catalog: Resource
    releases: Resource
    wheel: Resource
    requirements: Resource

    @property
    def name(self) -> str:
        """The catalog's name; through the resource, so that what uses it waits for the catalog."""
        return self.catalog.attribute("name")

    @property
    def wheel_path(self) -> str:
        """The path of the wheel in the volume."""
        return self.wheel.attribute("path")

    @property
    def requirements_path(self) -> str:
        """The path of the versions that are installed with the wheel."""
        return self.requirements.attribute("path")

    @property
    def releases_path(self) -> str:
        """Where the volume is mounted; through the resource, so that files wait for the volume."""
        return self.releases.attribute("volume_path")


def environment_catalog(
    workspace: WorkspaceContext,
    *,
    connector_id: str,
    lake_url: str,
    reading_workspaces: Mapping[str, str],
    receivers: Sequence[str],
) -> EnvironmentCatalog:
    """Add the catalog and the released code.

    Parameters
    ----------
    connector_id, lake_url
        Outputs of the platform stack: the identity that reaches the storage, and the root of the storage.
    reading_workspaces
        Ids of the workspaces that may read the catalog, by environment.
    receivers
        Application ids of the service principals that may copy models out of it.
    """
    deployment = workspace.deployment
    location = _location(workspace, connector_id, lake_url)
    catalog = workspace.add(
        "databricks_catalog",
        "catalog",
        prevent_destroy=deployment.settings.locks,
        name=deployment.environment,
        comment=f"everything that {deployment.environment} owns",
        storage_root=f"{location.attribute('url')}{deployment.environment}",
        isolation_mode=CatalogIsolationMode.ISOLATED.value,
        owner=workspace.job_principal,
        force_destroy=False,
        properties=dict(deployment.tags()),
    )
    name = catalog.attribute("name")
    workspace.grant("catalog", to=catalog_grants(deployment.holders, workspace.job_principal, receivers), catalog=name)
    for environment, workspace_id in reading_workspaces.items():
        workspace.add(
            "databricks_workspace_binding",
            "catalog_read_by",
            environment,
            securable_name=name,
            securable_type="catalog",
            workspace_id=workspace_id,
            binding_type=WorkspaceBindingBindingType.BINDING_TYPE_READ_ONLY.value,
        )
    releases = _releases_volume(workspace, name)
    wheel = wheel_file(workspace, deployment.release, folder=releases.attribute("volume_path"))
    requirements = requirements_file(workspace, wheel, folder=releases.attribute("volume_path"))
    return EnvironmentCatalog(catalog=catalog, releases=releases, wheel=wheel, requirements=requirements)


def wheel_file(workspace: WorkspaceContext, release: Release, *, folder: str) -> Resource:
    """Add the wheel of a release. Terraform refuses to upload a file of another hash, on every machine.

    Parameters
    ----------
    folder
        The path of the volume that it is uploaded to.
    """
    found = f'filesha256("{release.wheel_source}")'
    only_this = Precondition(
        condition=f'${{{found} == "{release.sha256}"}}',
        message=f"{release.wheel} is not the wheel that was synthesized, of sha256 {release.sha256}: build it again.",
    )
    return workspace.add(
        "databricks_file",
        "wheel",
        preconditions=[only_this] if release.sha256 else [],
        source=release.wheel_source,
        path=f"{folder}/{release.wheel}",
    )


def requirements_file(workspace: WorkspaceContext, wheel: Resource, *, folder: str) -> Resource:
    """Add the exact versions of what a release's wheel imports, with the hashes of their files.

    A package index may then give no other bytes than those of the tests. The file belongs to its wheel, so that a
    rollback changes both.

    Parameters
    ----------
    folder
        The path of the volume that it is uploaded to.
    """
    release = workspace.deployment.release
    return workspace.add(
        "databricks_file",
        "requirements",
        depends_on=(wheel,),
        source=release.requirements_source,
        path=f"{folder}/{release.requirements}",
    )


def _location(workspace: WorkspaceContext, connector_id: str, lake_url: str) -> Resource:
    """Add the credential and the external location of the environment's storage, which only the jobs may use."""
    deployment, jobs = workspace.deployment, workspace.job_principal
    credential = workspace.add(
        "databricks_storage_credential",
        "lake",
        prevent_destroy=deployment.settings.locks,
        name=deployment.name(ResourceKind.CREDENTIAL),
        azure_managed_identity={"access_connector_id": connector_id},
        isolation_mode=IsolationMode.ISOLATION_MODE_ISOLATED.value,
        owner=jobs,
        comment=f"reaches the storage of {deployment.environment}",
    )
    location = workspace.add(
        "databricks_external_location",
        "lake",
        prevent_destroy=deployment.settings.locks,
        name=deployment.name(ResourceKind.LOCATION),
        url=lake_url,
        credential_name=credential.attribute("name"),
        isolation_mode=IsolationMode.ISOLATION_MODE_ISOLATED.value,
        owner=jobs,
        comment=f"the storage of {deployment.environment}",
    )
    use = frozenset({Privilege.CREATE_EXTERNAL_LOCATION})
    store = frozenset({Privilege.READ_FILES, Privilege.WRITE_FILES, Privilege.CREATE_MANAGED_STORAGE})
    workspace.grant(
        "credential", to=[Grant(principal=jobs, privileges=use)], storage_credential=credential.attribute("name")
    )
    workspace.grant(
        "location", to=[Grant(principal=jobs, privileges=store)], external_location=location.attribute("name")
    )
    return location


def _releases_volume(workspace: WorkspaceContext, catalog_name: str) -> Resource:
    """Add the volume that holds the wheel, the same bytes in every environment."""
    jobs = workspace.job_principal
    schema = workspace.add(
        "databricks_schema",
        DEPLOYMENT_SCHEMA,
        catalog_name=catalog_name,
        name=DEPLOYMENT_SCHEMA,
        comment="the code that runs in this environment",
        owner=jobs,
    )
    volume = workspace.add(
        "databricks_volume",
        RELEASES_VOLUME,
        catalog_name=catalog_name,
        schema_name=schema.attribute("name"),
        name=RELEASES_VOLUME,
        volume_type=VolumeType.MANAGED.value,
        comment="wheels by commit, and what serves each use case",
        owner=jobs,
    )
    readers = [holder.principal for holder in workspace.deployment.holders if holder.rights.volumes]
    own = Grant(principal=jobs, privileges=frozenset({Privilege.USE_SCHEMA, Privilege.CREATE_VOLUME}))
    see = [Grant(principal=who, privileges=frozenset({Privilege.USE_SCHEMA})) for who in readers]
    read = [Grant(principal=who, privileges=frozenset({Privilege.READ_VOLUME})) for who in readers]
    workspace.grant(DEPLOYMENT_SCHEMA, to=merged([own, *see]), schema=schema.id)
    workspace.grant(RELEASES_VOLUME, to=merged([*volume_grants((), "", jobs), *read]), volume=volume.id)
    return volume
