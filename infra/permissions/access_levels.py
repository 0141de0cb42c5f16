"""What each level of access allows: one table, with the enums of `databricks-sdk`.

Every privilege and level is a member of an enum of the SDK, because the provider accepts a privilege that does not exist
in a plan. The settings of an environment state which level a role or team has in it; `infra.permissions.grants` derives
the grants on each object.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from databricks.sdk.service.catalog import Privilege
from databricks.sdk.service.iam import PermissionLevel, WorkspacePermission
from databricks.sdk.service.workspace import AclPermission

from infra.permissions.roles import Access, Object
from pipelines.declarations.asset import Layer

Privileges = frozenset[Privilege]
NO_PRIVILEGES: Privileges = frozenset()


@dataclass(frozen=True, kw_only=True)
class Rights:
    """What one level of access allows.

    Attributes
    ----------
    workspace
        The permission on the workspace itself; None for no access.
    schemas
        Privileges on each layer's schemas, tables included; a layer that is left out cannot be seen.
    levels
        Permission level on each kind of workspace object; a kind that is left out cannot be seen.
    """

    workspace: WorkspacePermission | None = None
    catalog: Privileges = NO_PRIVILEGES
    schemas: Mapping[Layer, Privileges] = field(default_factory=lambda: MappingProxyType({}))
    volumes: Privileges = NO_PRIVILEGES
    models: Privileges = NO_PRIVILEGES
    levels: Mapping[Object, PermissionLevel] = field(default_factory=lambda: MappingProxyType({}))
    secrets: AclPermission | None = None


READ = frozenset({Privilege.USE_SCHEMA, Privilege.SELECT})
READ_FILES = frozenset({Privilege.READ_VOLUME})
_BUILD = READ | {
    Privilege.MODIFY,
    Privilege.CREATE_TABLE,
    Privilege.CREATE_FUNCTION,
    Privilege.CREATE_VOLUME,
    Privilege.CREATE_MODEL,
}
_SEE = {
    Object.JOB: PermissionLevel.CAN_VIEW,
    Object.EXPERIMENT: PermissionLevel.CAN_READ,
    Object.WAREHOUSE: PermissionLevel.CAN_USE,
    Object.FOLDER: PermissionLevel.CAN_READ,
    Object.ENDPOINT: PermissionLevel.CAN_VIEW,
    Object.DASHBOARD: PermissionLevel.CAN_READ,
    Object.ALERT: PermissionLevel.CAN_READ,
}
_EXPLANATION = MappingProxyType({Layer.INFERENCE: READ, Layer.MONITORING: READ})
_OBSERVE = Rights(
    workspace=WorkspacePermission.USER,
    catalog=frozenset({Privilege.USE_CATALOG}),
    schemas=MappingProxyType(dict.fromkeys(Layer, READ)),
    volumes=READ_FILES,
    models=frozenset({Privilege.EXECUTE}),
    levels=MappingProxyType(_SEE),
)

RIGHTS: Mapping[Access, Rights] = MappingProxyType(
    {
        Access.NONE: Rights(),
        # Predictions and monitoring only; the setting `reads` gives this level to data scientists of another environment.
        Access.EXPLAIN: Rights(
            workspace=WorkspacePermission.USER,
            catalog=frozenset({Privilege.USE_CATALOG}),
            schemas=_EXPLANATION,
            levels=MappingProxyType(
                {Object.JOB: PermissionLevel.CAN_VIEW, Object.EXPERIMENT: PermissionLevel.CAN_READ}
            ),
        ),
        Access.OBSERVE: _OBSERVE,
        # Runs and repairs the jobs; reads their results, not their input.
        Access.OPERATE: Rights(
            workspace=_OBSERVE.workspace,
            catalog=_OBSERVE.catalog,
            schemas=_EXPLANATION,
            models=_OBSERVE.models,
            levels=MappingProxyType(
                {**_SEE, Object.JOB: PermissionLevel.CAN_MANAGE_RUN, Object.ENDPOINT: PermissionLevel.CAN_QUERY}
            ),
        ),
        Access.DEVELOP: Rights(
            workspace=_OBSERVE.workspace,
            catalog=_OBSERVE.catalog,
            schemas=MappingProxyType(dict.fromkeys(Layer, _BUILD)),
            volumes=READ_FILES | {Privilege.WRITE_VOLUME},
            models=_OBSERVE.models | {Privilege.APPLY_TAG},
            levels=MappingProxyType(
                {
                    **_SEE,
                    Object.JOB: PermissionLevel.CAN_MANAGE_RUN,
                    Object.EXPERIMENT: PermissionLevel.CAN_EDIT,
                    Object.CLUSTER: PermissionLevel.CAN_RESTART,
                    Object.FOLDER: PermissionLevel.CAN_RUN,
                    Object.ENDPOINT: PermissionLevel.CAN_QUERY,
                    Object.DASHBOARD: PermissionLevel.CAN_RUN,
                }
            ),
            secrets=AclPermission.READ,
        ),
        # Administers the workspace and sees that data exists, but reads none of it. Where there is an online store, its
        # administrators manage that too: https://learn.microsoft.com/en-us/azure/databricks/oltp/projects/manage-project-permissions
        Access.ADMINISTER: Rights(
            workspace=WorkspacePermission.ADMIN,
            catalog=frozenset({Privilege.BROWSE, Privilege.USE_CATALOG}),
        ),
    }
)
