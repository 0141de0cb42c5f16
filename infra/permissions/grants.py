"""Derives grants and permission levels from the holders of access, as pure functions.

`infra.permissions.access_levels` states what each level of access allows; the settings of an environment state which level
a role or team has in it. The constructs make resources from these records.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from databricks.sdk.service.catalog import Privilege
from databricks.sdk.service.iam import PermissionLevel

from infra.permissions.access_levels import NO_PRIVILEGES, READ, READ_FILES, RIGHTS, Privileges, Rights
from infra.permissions.roles import Access, Object
from pipelines.declarations.asset import Layer
from pipelines.declarations.job import Task
from pipelines.declarations.use_case import UseCase


@dataclass(frozen=True, kw_only=True)
class Holder:
    """A principal with its level of access.

    Attributes
    ----------
    principal
        Name of an account group.
    use_cases
        The only use cases it reaches; None for all.
    description
        Who the holder is, for people.
    """

    principal: str
    access: Access
    description: str
    use_cases: frozenset[str] | None = None

    @property
    def rights(self) -> Rights:
        """The rights of the holder's level."""
        return RIGHTS[self.access]

    def reaches(self, use_case: str) -> bool:
        """Return whether the holder has its access on a use case."""
        return self.use_cases is None or use_case in self.use_cases


@dataclass(frozen=True, kw_only=True)
class Grant:
    """Privileges of one principal on one securable of Unity Catalog."""

    principal: str
    privileges: Privileges


@dataclass(frozen=True, kw_only=True)
class Permission:
    """The level of one principal on one object of a workspace."""

    principal: str
    level: PermissionLevel


def merged(grants: Iterable[Grant]) -> tuple[Grant, ...]:
    """Return one grant for each principal, in alphabetical order, without the empty ones."""
    union: dict[str, Privileges] = {}
    for grant in grants:
        union[grant.principal] = union.get(grant.principal, NO_PRIVILEGES) | grant.privileges
    return tuple(Grant(principal=who, privileges=what) for who, what in sorted(union.items()) if what)


def catalog_grants(holders: Sequence[Holder], job_principal: str, receivers: Sequence[str] = ()) -> tuple[Grant, ...]:
    """Return who may use the catalog.

    Parameters
    ----------
    job_principal
        The service principal that runs the jobs.
    receivers
        The service principals of the environments that copy models from this one.
    """
    people = [Grant(principal=holder.principal, privileges=holder.rights.catalog) for holder in holders]
    jobs = [Grant(principal=who, privileges=frozenset({Privilege.USE_CATALOG})) for who in (job_principal, *receivers)]
    return merged([*jobs, *people])


@dataclass(frozen=True, kw_only=True)
class Usage:
    """The use cases whose declared tasks read and write one schema."""

    readers: frozenset[str]
    writers: frozenset[str]


def schema_usage(use_cases: Sequence[UseCase]) -> Mapping[str, Usage]:
    """Return who reads and writes each schema, derived from the assets that the tasks declare.

    Grants are on schemas, not on tables: the first deployment comes before the first run of the job that creates a table.
    """
    readers: dict[str, set[str]] = {}
    writers: dict[str, set[str]] = {}
    for use_case in use_cases:
        for task in (task for job in use_case.jobs for task in job.tasks if isinstance(task, Task)):
            for asset in task.reads:
                readers.setdefault(asset.schema, set()).add(use_case.name)
            for asset in task.writes:
                writers.setdefault(asset.schema, set()).add(use_case.name)
    return {
        schema: Usage(readers=frozenset(readers.get(schema, ())), writers=frozenset(writers.get(schema, ())))
        for schema in sorted({*readers, *writers})
    }


def schema_grants(
    schema: str,
    *,
    use_case: str,
    layer: Layer,
    holders: Sequence[Holder],
    usage: Mapping[str, Usage],
    job_principal: str,
    receivers: Sequence[str] = (),
) -> tuple[Grant, ...]:
    """Return who may do what in one schema.

    Parameters
    ----------
    schema
        Name of the schema within its catalog.
    use_case, layer
        The use case and the layer of the schema.
    holders
        All holders of access in the environment.
    usage
        The schemas that the declared tasks read and write.
    job_principal
        The service principal that runs the jobs.
    receivers
        The service principals of the environments that copy the use case's model; they get USE_SCHEMA on the schema of models.
    """
    used = usage.get(schema, Usage(readers=frozenset(), writers=frozenset()))
    grants = [Grant(principal=job_principal, privileges=_job_privileges(layer, used))]
    if layer is Layer.MODELS:
        grants += [Grant(principal=who, privileges=frozenset({Privilege.USE_SCHEMA})) for who in receivers]
    for holder in holders:
        privileges = holder.rights.schemas.get(layer, NO_PRIVILEGES)
        if holder.reaches(use_case):
            grants.append(Grant(principal=holder.principal, privileges=privileges))
        elif any(holder.reaches(reader) for reader in used.readers - {use_case}):
            # Another team's use case reads these tables: its people may read them too, and no more.
            grants.append(Grant(principal=holder.principal, privileges=privileges & READ))
    return merged(grants)


def _job_privileges(layer: Layer, usage: Usage) -> Privileges:
    read = frozenset({Privilege.USE_SCHEMA, Privilege.EXECUTE}) if layer is Layer.MODELS else READ
    create = Privilege.CREATE_MODEL if layer is Layer.MODELS else Privilege.CREATE_TABLE
    written = read | {Privilege.MODIFY, create} if layer is not Layer.MODELS else read | {create}
    if usage.writers:
        return written
    return read if usage.readers else frozenset({Privilege.USE_SCHEMA})


def volume_grants(holders: Sequence[Holder], use_case: str, job_principal: str) -> tuple[Grant, ...]:
    """Return who may read and write the files of a use case's volume."""
    people = [Grant(principal=h.principal, privileges=h.rights.volumes) for h in holders if h.reaches(use_case)]
    return merged([Grant(principal=job_principal, privileges=READ_FILES | {Privilege.WRITE_VOLUME}), *people])


def model_grants(
    holders: Sequence[Holder], use_case: str, job_principal: str, receivers: Sequence[str] = ()
) -> tuple[Grant, ...]:
    """Return who may load a use case's registered model; only the environment's own jobs move its aliases."""
    people = [Grant(principal=h.principal, privileges=h.rights.models) for h in holders if h.reaches(use_case)]
    own = Grant(principal=job_principal, privileges=frozenset({Privilege.EXECUTE, Privilege.APPLY_TAG}))
    return merged(
        [own, *(Grant(principal=who, privileges=frozenset({Privilege.EXECUTE})) for who in receivers), *people]
    )


def permissions(
    kind: Object, holders: Sequence[Holder], use_cases: frozenset[str] | None = None
) -> tuple[Permission, ...]:
    """Return the level of each principal on one workspace object.

    Parameters
    ----------
    kind
        The kind of the object.
    holders
        All holders of access in the environment.
    use_cases
        The use cases that the object belongs to; None if all share it.
    """
    found: dict[str, PermissionLevel] = {}
    for holder in holders:
        reached = use_cases is None or any(holder.reaches(use_case) for use_case in use_cases)
        if reached and kind in holder.rights.levels:
            found[holder.principal] = holder.rights.levels[kind]
    return tuple(Permission(principal=who, level=level) for who, level in sorted(found.items()))
