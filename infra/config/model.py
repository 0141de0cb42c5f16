"""The allowed settings: one pydantic model per file, each field with its limits and its meaning.

Unknown keys are refused. `infra.config.loading` reads the files; `infra.config.checks` compares the values of different
files.
"""

import re
from enum import StrEnum
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from infra.config.network import MONITOR_ZONES, Network, ResourceId, StorageRange, StrictSettings
from infra.config.online_store import OnlineStoreSettings
from infra.config.telemetry import TelemetrySettings
from infra.permissions.roles import Access, Role
from pipelines.declarations.job import Size

Uuid = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Email = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
Region = Annotated[str, Field(pattern=r"^[a-z]+[0-9]?$", description="An Azure region, for example westeurope.")]
NodeType = Annotated[str, Field(pattern=r"^Standard_[A-Z][A-Za-z0-9_-]*$", description="An Azure VM size.")]
Runtime = Annotated[
    str,
    Field(
        pattern=r"^[0-9]+(\.[0-9]+)*\.x-(cpu|gpu)-ml-scala[0-9]+\.[0-9]+$",
        description="The key of a Databricks Runtime ML, for example 18.x-cpu-ml-scala2.13.",
    ),
]
"""Keys of one number or more: from 18 on a runtime has one, learn.microsoft.com/azure/databricks/release-notes/runtime.

Words that a service adds to are checked by their form alone; only the service knows which of them it has.
"""
SourceLocation = Annotated[
    str,
    Field(
        pattern=r"^(/|abfss://[a-z0-9-]+@[a-z0-9]+\.dfs\.core\.windows\.net(/|$))[^;\s]*$",
        description="A volume such as /Volumes/dev/landing/orders, another absolute path, or an abfss address.",
    ),
]
UseCaseName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=63)]
GroupName = Annotated[str, Field(min_length=1, max_length=64, description="An Entra group listed in account.yaml.")]


class JobCompute(StrEnum):
    """Where jobs run."""

    JOB_CLUSTER = "job_cluster"
    SERVERLESS = "serverless"


class Schedules(StrEnum):
    """Whether jobs start by themselves."""

    RUNNING = "running"
    PAUSED = "paused"


class GroupSource(StrEnum):
    """How the Entra groups come into the Databricks account."""

    ADDED = "added"
    EXISTING = "existing"


class RoleHolders(StrictSettings):
    """Who holds a role in the environment, and how far that role reaches there."""

    groups: tuple[GroupName, ...] = Field(min_length=1, description="Entra groups that hold the role.")
    access: Access = Field(description="How far the role reaches in this environment.")


class SizeInNodes(StrictSettings):
    """What a job's declared size means in this environment."""

    node_type: NodeType
    workers_minimum: int = Field(ge=1, le=100)
    workers_maximum: int = Field(ge=1, le=100)

    @model_validator(mode="after")
    def _minimum_below_maximum(self) -> "SizeInNodes":
        if self.workers_minimum > self.workers_maximum:
            raise ValueError(f"workers_minimum {self.workers_minimum} is above workers_maximum {self.workers_maximum}")
        return self


class Pool(StrictSettings):
    """The one instance pool; sizes with its node type draw from it."""

    node_type: NodeType
    idle_minimum: int = Field(ge=0, le=20, description="Machines kept warm.")
    capacity_maximum: int = Field(ge=1, le=500)
    idle_minutes: int = Field(ge=5, le=120)

    @model_validator(mode="after")
    def _idle_machines_fit(self) -> "Pool":
        if self.idle_minimum > self.capacity_maximum:
            raise ValueError(f"idle_minimum {self.idle_minimum} is above capacity_maximum {self.capacity_maximum}")
        return self


class InteractiveCluster(StrictSettings):
    """A cluster each team may attach to; absent where people do not work."""

    size: Size
    idle_minutes: int = Field(ge=10, le=120, description="Minutes without work after which it ends by itself.")


class Warehouse(StrictSettings):
    """The SQL warehouse of dashboards and alerts."""

    size: str = Field(pattern=r"^([0-9]*X-)?(Small|Medium|Large)$", description="For example 2X-Small.")
    clusters_maximum: int = Field(ge=1, le=10)
    idle_minutes: int = Field(ge=5, le=120)


class Compute(StrictSettings):
    """What work runs on."""

    jobs_run_on: JobCompute = JobCompute.JOB_CLUSTER
    runtime: Runtime
    serverless_environment: str = Field(
        default="5", pattern=r"^[0-9]{1,3}$", description="The environment version of serverless jobs."
    )
    sizes: dict[Size, SizeInNodes]
    pool: Pool
    interactive_cluster: InteractiveCluster | None = None
    warehouse: Warehouse

    @field_validator("sizes")
    @classmethod
    def _every_size_is_there(cls, sizes: dict[Size, SizeInNodes]) -> dict[Size, SizeInNodes]:
        missing = sorted(set(Size) - set(sizes))
        if missing:
            raise ValueError(f"must state every size a job can ask for; missing: {', '.join(missing)}")
        return sizes

    @model_validator(mode="after")
    def _one_cluster_fits_into_the_pool(self) -> "Compute":
        """Driver and workers of a cluster come from the pool: learn.microsoft.com/azure/databricks/compute/pools."""
        for size, nodes in self.sizes.items():
            needed = nodes.workers_maximum + 1
            if nodes.node_type == self.pool.node_type and needed > self.pool.capacity_maximum:
                raise ValueError(
                    f"pool.capacity_maximum {self.pool.capacity_maximum} is below the {needed} machines of one cluster of the "
                    f"size {size.value}: its driver and {nodes.workers_maximum} workers"
                )
        return self


class Jobs(StrictSettings):
    """How jobs behave beyond what they declare."""

    schedules: Schedules = Schedules.PAUSED
    notify: tuple[Email, ...] = Field(min_length=1, description="Who hears of failed runs, alerts and slow runs.")


class Serving(StrictSettings):
    """Online endpoints, one per use case; absent where predictions are only made in batches."""

    workload_size: str = Field(pattern=r"^([0-9]*X-?)?(Small|Medium|Large)$", description="For example Small.")
    scale_to_zero: bool
    calls_per_minute: int = Field(ge=1, le=100_000)
    online_store: OnlineStoreSettings | None = None


class Retention(StrictSettings):
    """How long what is no longer needed is kept."""

    log_days: int = Field(ge=30, le=730)
    deleted_data_days: int = Field(ge=7, le=90)


class Budget(StrictSettings):
    """What a month may cost before somebody hears of it."""

    monthly: int = Field(gt=0, description="In the currency of the subscription.")
    first_month: str = Field(pattern=r"^20\d\d-(0[1-9]|1[0-2])$", description="From when it counts, as YYYY-MM.")
    notify: tuple[Email, ...] = Field(min_length=1)


class StateStorage(StrictSettings):
    """Where Terraform keeps the state of these stacks; absent: on the local disk."""

    subscription_id: Uuid
    resource_group: str = Field(pattern=r"^[a-z0-9-]{1,90}$")
    storage_account: str = Field(pattern=r"^[a-z0-9]{3,24}$")
    container: str = Field(pattern=r"^[a-z0-9-]{3,63}$")
    allowed_ip_ranges: tuple[StorageRange, ...] = Field(
        default=(), description="Public ranges from which people and agents reach the state; all others are refused."
    )
    endpoint_subnet: ResourceId | None = Field(
        default=None, description="The subnet of a private endpoint of the state: of the agents' network or of a hub."
    )
    blob_zone: ResourceId | None = Field(
        default=None, description="The private DNS zone of that endpoint; absent: its owner adds the record."
    )

    @property
    def is_reached_from(self) -> bool:
        """Whether the settings state who reaches the state: nobody else does."""
        return bool(self.allowed_ip_ranges or self.endpoint_subnet)

    @model_validator(mode="after")
    def _zone_belongs_to_an_endpoint(self) -> "StateStorage":
        if self.blob_zone is not None and self.endpoint_subnet is None:
            raise ValueError("blob_zone names the zone of a private endpoint: give endpoint_subnet too")
        return self


class EnvironmentSettings(StrictSettings):
    """One environment: dev, staging or prod."""

    environment: str
    subscription_id: Uuid
    region: Region
    network: Network
    roles: dict[Role, RoleHolders]
    team_access: Access = Field(default=Access.NONE, description="How far a team reaches into its own use cases.")
    reads: tuple[str, ...] = Field(
        default=(), description="Environments whose explanation this one's data scientists may read; none by default."
    )
    receives_models: bool = Field(
        default=False,
        description="Whether the jobs here may copy models of use cases that the environment before this one trains.",
    )
    source_locations: dict[str, dict[str, SourceLocation]] = Field(
        default_factory=dict,
        description="Where the environment keeps the sources of use cases: use case, source, location. As declared by default.",
    )
    branches: bool = Field(
        default=False, description="Whether branches of use cases may be deployed beside the originals; in dev alone."
    )
    compute: Compute
    jobs: Jobs
    serving: Serving | None = None
    telemetry: TelemetrySettings | None = None
    retention: Retention
    budget: Budget
    customer_managed_keys: bool
    key_generation: int = Field(
        default=1, ge=1, description="Raise it after the vault has rotated the key: the workspace gets the new version."
    )
    locks: bool = Field(description="Whether Azure and Terraform refuse to delete what holds data.")
    state: StateStorage | None = None

    @field_validator("roles")
    @classmethod
    def _every_role_is_held(cls, roles: dict[Role, RoleHolders]) -> dict[Role, RoleHolders]:
        missing = sorted(set(Role) - set(roles))
        if missing:
            raise ValueError(
                f"must say who holds every role (access: none takes all rights away); missing: {', '.join(missing)}"
            )
        return roles

    @field_validator("team_access")
    @classmethod
    def _teams_do_not_administer(cls, access: Access) -> Access:
        if access is Access.ADMINISTER:
            raise ValueError("must not be administer: a team would administer every other team's workspace")
        return access

    @model_validator(mode="after")
    def _telemetry_is_sent_and_arrives(self) -> "EnvironmentSettings":
        if self.telemetry is None:
            return self
        if self.compute.jobs_run_on is JobCompute.SERVERLESS:
            raise ValueError(
                "telemetry needs jobs_run_on: job_cluster: Databricks gives serverless jobs no environment variables"
            )
        zones = self.network.private_dns_zones
        if self.telemetry.private_link and zones is not None and not zones.of_azure_monitor:
            raise ValueError(
                f"network.private_dns_zones must name {', '.join(MONITOR_ZONES)} too, the zones of Azure Monitor's private "
                "link; or state telemetry.private_link: false where the hub has a private link scope"
            )
        return self


class Metastore(StrictSettings):
    """The one metastore of the account's region: created and owned by a group of administrators, or an existing one."""

    region: Region
    administrators: GroupName | None = Field(default=None, description="The group that owns the metastore we create.")
    id: Uuid | None = Field(
        default=None,
        description="The metastore that the account has in the region already; its owner stays. None is created then.",
    )

    @model_validator(mode="after")
    def _created_or_existing(self) -> "Metastore":
        if (self.administrators is None) == (self.id is None):
            raise ValueError(
                "must name administrators, which own a metastore that is created, or the id of an existing metastore, "
                "and not both"
            )
        return self


class Federation(StrictSettings):
    """By what Entra knows a service connection; `python -m infra devops` shows what Azure DevOps states."""

    issuer: str = Field(pattern=r"^https://[a-z.]+/\S+$")
    subject: str = Field(pattern=r"^(sc://|/eid1/)\S+$")


class AzureDevops(StrictSettings):
    """The pipelines that deploy; their identity is federated, so no secret exists."""

    organisation: str = Field(pattern=r"^[A-Za-z0-9-]{1,50}$")
    organisation_id: Uuid
    project: str = Field(pattern=r"^[A-Za-z0-9 _-]{1,64}$")
    repository: str = Field(pattern=r"^[A-Za-z0-9 ._-]{1,64}$")
    approvers: GroupName = Field(description="Who approves what is deployed to prod.")
    federation: dict[Annotated[str, Field(pattern=r"^(dev|staging|prod|prod-plan)$")], Federation] = Field(
        default_factory=dict,
        description="By service connection, where Azure DevOps states other values than by default.",
    )


class AccountSettings(StrictSettings):
    """What all environments share."""

    organisation: str = Field(pattern=r"^[a-z][a-z0-9]{1,7}$", description="Short name that begins every name.")
    databricks_account_id: Uuid
    entra_tenant_id: Uuid
    metastore: Metastore
    entra_groups: dict[GroupName, Uuid | None] = Field(description="By name, with their object ids in Entra.")
    entra_groups_are: GroupSource = Field(
        default=GroupSource.ADDED,
        description="added: the account stack adds them to the account by their object ids. existing: SCIM or automatic "
        "identity management has brought them; they are looked up by name, and object ids may be left out.",
    )
    azure_devops: AzureDevops
    locks: bool
    state: StateStorage | None = None

    @model_validator(mode="after")
    def _added_groups_have_ids(self) -> "AccountSettings":
        missing = sorted(name for name, object_id in self.entra_groups.items() if object_id is None)
        if missing and self.entra_groups_are is GroupSource.ADDED:
            raise ValueError(
                f"entra_groups must state the object id of {', '.join(missing)}: leave ids out only with "
                "entra_groups_are: existing"
            )
        return self


TEAM_NAME = re.compile(r"^[a-z][a-z0-9_]{1,23}$")
TeamName = Annotated[str, Field(pattern=TEAM_NAME.pattern)]


RETIRED_SHARED: tuple[str, ...] = Field(
    default=(),
    description="Schemas of feature tables that retired use cases had shared, for example trips_shared_weather: they stay, "
    "unmanaged.",
)


class Team(StrictSettings):
    """One data team."""

    name: str = Field(pattern=TEAM_NAME.pattern)
    members: GroupName
    use_cases: tuple[str, ...]
    retired: tuple[UseCaseName, ...] = Field(
        default=(),
        description="Use cases that the team has given up: their tables, files, model and experiment stay, unmanaged.",
    )
    retired_shared: tuple[UseCaseName, ...] = RETIRED_SHARED
    renamed_from: tuple[TeamName, ...] = Field(
        default=(),
        description="Earlier names, the first one first: what the team has moves to the new name and keeps its content; its "
        "secret scope keeps the first name.",
    )
    cost_centre: str = Field(pattern=r"^[A-Z]{2}-[0-9]{3,6}$")
    monthly_budget: int = Field(gt=0, description="In the currency of the subscription.")

    @property
    def first_name(self) -> str:
        """The name that what cannot be renamed bears."""
        return (*self.renamed_from, self.name)[0]

    def called(self, name: str) -> "Team":
        """Return the team under one of its earlier names; what bears the first name bears it still."""
        earlier = self.renamed_from[: self.renamed_from.index(name)]
        return self.model_copy(update={"name": name, "renamed_from": earlier})


class RetiredTeam(StrictSettings):
    """A data team that is no more: what holds data stays, unmanaged; everything else of it is destroyed."""

    name: str = Field(pattern=TEAM_NAME.pattern, description="The first name that it had.")
    use_cases: tuple[UseCaseName, ...] = Field(
        default=(), description="Its use cases, also those that it had retired itself: their data stays."
    )
    retired_shared: tuple[UseCaseName, ...] = RETIRED_SHARED


class TeamsSettings(StrictSettings):
    """Every data team."""

    teams: tuple[Team, ...] = Field(min_length=1)
    retired_teams: tuple[RetiredTeam, ...] = ()
