"""The environment's catalog: its storage credential, location and catalog, bound to one workspace alone.

Catalog, credential and location are isolated: the workspace that creates them is the only one that sees them. A
catalog is never bound to its own workspace by a resource, because destroying that binding would fail. Another
environment's workspace is bound read-only where that environment's settings say that it reads this one.
"""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from databricks.sdk.service.catalog import (
    CatalogIsolationMode,
    IsolationMode,
    Privilege,
    VolumeType,
    WorkspaceBindingBindingType,
)

from infra.config.naming import Kind
from infra.constructs.deployment import Deployment, Release
from infra.permissions.access import Grant, catalog_grants, merged, volume_grants
from infra.synthesis.stack import Precondition, Provider, Resource, Stack

DEPLOYMENT_SCHEMA = "deployment"
RELEASES_VOLUME = "releases"


@dataclass(frozen=True, kw_only=True)
class Lakehouse:
    """What use cases build on: the catalog, and the volume with the released code."""

    catalog: Resource
    releases: Resource
    wheel: Resource

    @property
    def releases_path(self) -> str:
        """Where the volume is mounted; through the resource, so that files wait for the volume."""
        return self.releases.attribute("volume_path")


def lakehouse(
    stack: Stack,
    *,
    deployment: Deployment,
    connector_id: str,
    lake_url: str,
    runner: str,
    reading_workspaces: Mapping[str, str],
    receivers: Sequence[str],
    provider: Provider,
) -> Lakehouse:
    """Add catalog and released code.

    Parameters
    ----------
    connector_id, lake_url
        What the platform stack offers: the identity and the root of the storage.
    runner
        Application id of the service principal that runs the jobs and owns everything.
    reading_workspaces
        Ids of the workspaces that may read the catalog, by environment.
    receivers
        Application ids of the service principals that may copy models out of it.
    """
    location = _location(stack, deployment, connector_id, lake_url, runner, provider)
    catalog = stack.add(
        "databricks_catalog",
        "catalog",
        provider=provider,
        prevent_destroy=deployment.settings.locks,
        name=deployment.environment,
        comment=f"everything that {deployment.environment} owns",
        storage_root=f"{location.attribute('url')}{deployment.environment}",
        isolation_mode=CatalogIsolationMode.ISOLATED.value,
        owner=runner,
        force_destroy=False,
        properties=dict(deployment.tags()),
    )
    grants(
        stack,
        "catalog",
        {"catalog": catalog.attribute("name")},
        catalog_grants(deployment.holders, runner, receivers),
        provider,
    )
    for environment, workspace_id in reading_workspaces.items():
        stack.add(
            "databricks_workspace_binding",
            f"catalog_read_by_{environment}",
            provider=provider,
            securable_name=catalog.attribute("name"),
            securable_type="catalog",
            workspace_id=workspace_id,
            binding_type=WorkspaceBindingBindingType.BINDING_TYPE_READ_ONLY.value,
        )
    return _releases(stack, catalog, deployment, runner, provider)


def grants(
    stack: Stack, label: str, securable: Mapping[str, Any], given: Iterable[Grant], provider: Provider
) -> Resource:
    """Add the one authoritative list of grants of a securable: what it does not list is taken away."""
    return stack.add(
        "databricks_grants",
        label,
        provider=provider,
        grant=[
            {"principal": grant.principal, "privileges": sorted(privilege.value for privilege in grant.privileges)}
            for grant in given
        ],
        **securable,
    )


def _location(
    stack: Stack, deployment: Deployment, connector_id: str, lake_url: str, runner: str, provider: Provider
) -> Resource:
    credential = stack.add(
        "databricks_storage_credential",
        "lake",
        provider=provider,
        prevent_destroy=deployment.settings.locks,
        name=deployment.name(Kind.CREDENTIAL),
        azure_managed_identity={"access_connector_id": connector_id},
        isolation_mode=IsolationMode.ISOLATION_MODE_ISOLATED.value,
        owner=runner,
        comment=f"reaches the storage of {deployment.environment}",
    )
    location = stack.add(
        "databricks_external_location",
        "lake",
        provider=provider,
        prevent_destroy=deployment.settings.locks,
        name=deployment.name(Kind.LOCATION),
        url=lake_url,
        credential_name=credential.attribute("name"),
        isolation_mode=IsolationMode.ISOLATION_MODE_ISOLATED.value,
        owner=runner,
        comment=f"the storage of {deployment.environment}",
    )
    use = frozenset({Privilege.CREATE_EXTERNAL_LOCATION})
    keep = frozenset({Privilege.READ_FILES, Privilege.WRITE_FILES, Privilege.CREATE_MANAGED_STORAGE})
    only_runner = [Grant(principal=runner, privileges=use)]
    grants(stack, "credential", {"storage_credential": credential.attribute("name")}, only_runner, provider)
    only_runner = [Grant(principal=runner, privileges=keep)]
    grants(stack, "location", {"external_location": location.attribute("name")}, only_runner, provider)
    return location


def _releases(stack: Stack, catalog: Resource, deployment: Deployment, runner: str, provider: Provider) -> Lakehouse:
    """Add the volume that holds the wheel, the same bytes in every environment."""
    schema = stack.add(
        "databricks_schema",
        DEPLOYMENT_SCHEMA,
        provider=provider,
        catalog_name=catalog.attribute("name"),
        name=DEPLOYMENT_SCHEMA,
        comment="the code that runs in this environment",
        owner=runner,
    )
    volume = stack.add(
        "databricks_volume",
        RELEASES_VOLUME,
        provider=provider,
        catalog_name=catalog.attribute("name"),
        schema_name=schema.attribute("name"),
        name=RELEASES_VOLUME,
        volume_type=VolumeType.MANAGED.value,
        comment="wheels by commit, and what serves each use case",
        owner=runner,
    )
    readers = [
        Grant(principal=holder.principal, privileges=frozenset({Privilege.READ_VOLUME}))
        for holder in deployment.holders
        if holder.rights.volumes
    ]
    seeing = [Grant(principal=g.principal, privileges=frozenset({Privilege.USE_SCHEMA})) for g in readers]
    mine = Grant(principal=runner, privileges=frozenset({Privilege.USE_SCHEMA, Privilege.CREATE_VOLUME}))
    grants(stack, DEPLOYMENT_SCHEMA, {"schema": schema.id}, merged([mine, *seeing]), provider)
    write = volume_grants((), "", runner)
    grants(stack, RELEASES_VOLUME, {"volume": volume.id}, merged([*write, *readers]), provider)
    wheel = wheel_file(stack, deployment.release, folder=volume.attribute("volume_path"), provider=provider)
    return Lakehouse(catalog=catalog, releases=volume, wheel=wheel)


def wheel_file(stack: Stack, release: Release, *, folder: str, provider: Provider) -> Resource:
    """Add the wheel of a release, and no other: Terraform refuses a file of another hash, whoever runs it.

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
    return stack.add(
        "databricks_file",
        "wheel",
        provider=provider,
        preconditions=[only_this] if release.sha256 else [],
        source=release.wheel_source,
        path=f"{folder}/{release.wheel}",
    )


def json_file(stack: Stack, label: str, path: str, content: Mapping[str, Any], provider: Provider) -> Resource:
    """Add a small file of facts that tasks read, made at synthesis."""
    text = json.dumps(content, indent=2, sort_keys=True) + "\n"
    encoded = base64.b64encode(text.encode()).decode()
    return stack.add("databricks_file", label, provider=provider, content_base64=encoded, path=path)
