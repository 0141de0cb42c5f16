"""The allowed settings: one pydantic model per file, each field with its limits and its meaning.

Unknown keys are refused. `infra.config.loading` reads the files; `infra.config.checks` compares the values of different
files.
"""

import ipaddress
import re
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

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
GroupName = Annotated[str, Field(min_length=1, max_length=64, description="An Entra group listed in account.yaml.")]


class Exposure(StrEnum):
    """Who can reach the workspace over the network."""

    PRIVATE = "private"
    PUBLIC = "public"


class Egress(StrEnum):
    """What serverless compute may reach on the internet."""

    RESTRICTED = "restricted"
    OPEN = "open"


class JobCompute(StrEnum):
    """Where jobs run."""

    JOB_CLUSTER = "job_cluster"
    SERVERLESS = "serverless"


class Schedules(StrEnum):
    """Whether jobs start by themselves."""

    RUNNING = "running"
    PAUSED = "paused"


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


def _network(value: Any) -> str:
    """Return the address range in its normal form; pydantic turns a ValueError into a mistake of the field."""
    network = ipaddress.ip_network(str(value))
    if not isinstance(network, ipaddress.IPv4Network) or not network.is_private:
        raise ValueError("must be a private IPv4 range such as 10.40.0.0/20")
    if not 16 <= network.prefixlen <= 24:
        raise ValueError("must be between /16 and /24, to hold the workspace's two subnets and the private endpoints")
    return str(network)


def _public_range(value: Any) -> str:
    network = ipaddress.ip_network(str(value))
    if network.prefixlen == 0:
        raise ValueError("must not be the whole internet; give the ranges your people come from")
    return str(network)


class Network(_Settings):
    """The environment's own network and who may reach its workspace."""

    address_space: Annotated[str, BeforeValidator(_network)] = Field(description="Range of the virtual network.")
    exposure: Exposure = Field(default=Exposure.PRIVATE, description="private: through private endpoints alone.")
    allowed_ip_ranges: tuple[Annotated[str, BeforeValidator(_public_range)], ...] = Field(
        default=(), description="With public exposure: the only ranges that reach the workspace."
    )
    serverless_egress: Egress = Field(default=Egress.RESTRICTED, description="What serverless compute may reach.")

    @model_validator(mode="after")
    def _ranges_belong_to_public_exposure(self) -> "Network":
        if (self.exposure is Exposure.PUBLIC) != bool(self.allowed_ip_ranges):
            raise ValueError("allowed_ip_ranges must be given with exposure: public, and only then")
        return self


class RoleHolders(_Settings):
    """Who holds a role in the environment, and how far that role reaches there."""

    groups: tuple[GroupName, ...] = Field(min_length=1, description="Entra groups that hold the role.")
    access: Access = Field(description="How far the role reaches in this environment.")


class SizeInNodes(_Settings):
    """What a job's declared size means in this environment."""

    node_type: NodeType
    workers_minimum: int = Field(ge=1, le=100)
    workers_maximum: int = Field(ge=1, le=100)

    @model_validator(mode="after")
    def _minimum_below_maximum(self) -> "SizeInNodes":
        if self.workers_minimum > self.workers_maximum:
            raise ValueError(f"workers_minimum {self.workers_minimum} is above workers_maximum {self.workers_maximum}")
        return self


class Pool(_Settings):
    """The one instance pool; sizes with its node type draw from it."""

    node_type: NodeType
    idle_minimum: int = Field(ge=0, le=20, description="Machines kept warm.")
    capacity_maximum: int = Field(ge=1, le=500)
    idle_minutes: int = Field(ge=5, le=120)


class InteractiveCluster(_Settings):
    """A cluster each team may attach to; absent where people do not work."""

    size: Size
    idle_minutes: int = Field(ge=10, le=120, description="Minutes without work after which it ends by itself.")


class Warehouse(_Settings):
    """The SQL warehouse of dashboards and alerts."""

    size: str = Field(pattern=r"^([0-9]*X-)?(Small|Medium|Large)$", description="For example 2X-Small.")
    clusters_maximum: int = Field(ge=1, le=10)
    idle_minutes: int = Field(ge=5, le=120)


class Compute(_Settings):
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


class Jobs(_Settings):
    """How jobs behave beyond what they declare."""

    schedules: Schedules = Schedules.PAUSED
    notify: tuple[Email, ...] = Field(min_length=1, description="Who hears of failed runs, alerts and slow runs.")


class Serving(_Settings):
    """Online endpoints, one per use case; absent where predictions are only made in batches."""

    workload_size: str = Field(pattern=r"^([0-9]*X-?)?(Small|Medium|Large)$", description="For example Small.")
    scale_to_zero: bool
    calls_per_minute: int = Field(ge=1, le=100_000)


class Retention(_Settings):
    """How long what is no longer needed is kept."""

    log_days: int = Field(ge=30, le=730)
    deleted_data_days: int = Field(ge=7, le=90)


class Budget(_Settings):
    """What a month may cost before somebody hears of it."""

    monthly: int = Field(gt=0, description="In the currency of the subscription.")
    first_month: str = Field(pattern=r"^20\d\d-(0[1-9]|1[0-2])$", description="From when it counts, as YYYY-MM.")
    notify: tuple[Email, ...] = Field(min_length=1)


class StateStorage(_Settings):
    """Where Terraform keeps the state of these stacks; absent: on the local disk."""

    subscription_id: Uuid
    resource_group: str = Field(pattern=r"^[a-z0-9-]{1,90}$")
    storage_account: str = Field(pattern=r"^[a-z0-9]{3,24}$")
    container: str = Field(pattern=r"^[a-z0-9-]{3,63}$")


class EnvironmentSettings(_Settings):
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
    compute: Compute
    jobs: Jobs
    serving: Serving | None = None
    retention: Retention
    budget: Budget
    customer_managed_keys: bool
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


class Metastore(_Settings):
    """The one metastore of the account's region."""

    region: Region
    administrators: GroupName


class Federation(_Settings):
    """By what Entra knows a service connection; `python -m infra devops` shows what Azure DevOps states."""

    issuer: str = Field(pattern=r"^https://[a-z.]+/\S+$")
    subject: str = Field(pattern=r"^(sc://|/eid1/)\S+$")


class AzureDevops(_Settings):
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


class AccountSettings(_Settings):
    """What all environments share."""

    organisation: str = Field(pattern=r"^[a-z][a-z0-9]{1,7}$", description="Short name that begins every name.")
    databricks_account_id: Uuid
    entra_tenant_id: Uuid
    metastore: Metastore
    entra_groups: dict[GroupName, Uuid]
    azure_devops: AzureDevops
    locks: bool
    state: StateStorage | None = None


TEAM_NAME = re.compile(r"^[a-z][a-z0-9_]{1,23}$")


class Team(_Settings):
    """One data team."""

    name: str = Field(pattern=TEAM_NAME.pattern)
    members: GroupName
    use_cases: tuple[str, ...]
    cost_centre: str = Field(pattern=r"^[A-Z]{2}-[0-9]{3,6}$")
    monthly_budget: int = Field(gt=0, description="In the currency of the subscription.")


class TeamsSettings(_Settings):
    """Every data team."""

    teams: tuple[Team, ...] = Field(min_length=1)
