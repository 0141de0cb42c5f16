"""The permission matrix: who may do what in which environment, from the functions that also make the grants.

It answers "who can reach prod's data?" from the settings alone. It agrees with what is deployed, because grants and
matrix both come from `infra.permissions.grants` and `infra.constructs.deployment`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from infra.config.loading import Settings
from infra.config.naming import ResourceKind, name
from infra.constructs.deployment import holders, receivers
from infra.permissions.grants import Holder
from infra.permissions.roles import Object
from pipelines.declarations.asset import Layer
from pipelines.declarations.use_case import UseCase


@dataclass(frozen=True, kw_only=True)
class MatrixRow:
    """One holder in one environment.

    Attributes
    ----------
    who
        The holder for people, for example ``team operations``.
    principal
        The account group.
    access
        The level of access that the settings state.
    reach
        ``all use cases`` or the names of those it reaches.
    data, jobs, experiments, models, workspace
        Its rights, in Databricks' terms; a dash for none.
    """

    environment: str
    who: str
    principal: str
    access: str
    reach: str
    workspace: str
    data: str
    jobs: str
    experiments: str
    models: str


NOTHING = "-"


def permission_matrix(settings: Settings, use_cases: Sequence[UseCase]) -> tuple[MatrixRow, ...]:
    """Return a row for each holder in every environment, the jobs first, including holders without any right.

    Parameters
    ----------
    settings
        The checked settings.
    use_cases
        The declared use cases, which state whose models are copied from one environment to another.
    """
    return tuple(
        row
        for environment in settings.environments
        for row in (
            _jobs_row(settings, environment),
            *(_holder_row(environment, holder) for holder in holders(settings, environment)),
            *_receiver_rows(settings, use_cases, environment),
        )
    )


def as_markdown(rows: Sequence[MatrixRow]) -> str:
    """Return the matrix as one Markdown table."""
    heads = ("environment", "who", "access", "reaches", "workspace", "data", "jobs", "experiments", "models")
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for row in rows:
        cells = (
            row.environment, row.who, row.access, row.reach, row.workspace, row.data, row.jobs, row.experiments,
            row.models,
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _jobs_row(settings: Settings, environment: str) -> MatrixRow:
    """Return the row of the service principal that deploys the environment and runs its jobs."""
    return MatrixRow(
        environment=environment,
        who="jobs (service principal)",
        principal=name(ResourceKind.APPLICATION, settings.account.organisation, environment),
        access="owner",
        reach="all use cases",
        workspace="ADMIN",
        data="owns the catalog; reads and writes what tasks declare",
        jobs="IS_OWNER",
        experiments="CAN_MANAGE",
        models="owns them and moves their aliases",
    )


def _receiver_rows(settings: Settings, use_cases: Sequence[UseCase], environment: str) -> list[MatrixRow]:
    """Return the rows of other environments' service principals that copy models from this one."""
    return [
        MatrixRow(
            environment=environment,
            who=f"jobs of {other}",
            principal=name(ResourceKind.APPLICATION, settings.account.organisation, other),
            access="copy models",
            reach=", ".join(use_case.name for use_case in use_cases if other not in use_case.trained_in),
            workspace=NOTHING,
            data=NOTHING,
            jobs=NOTHING,
            experiments=NOTHING,
            models="EXECUTE",
        )
        for other in receivers(settings, use_cases, environment)
    ]


def _holder_row(environment: str, holder: Holder) -> MatrixRow:
    rights = holder.rights
    reach = "all use cases" if holder.use_cases is None else ", ".join(sorted(holder.use_cases)) or "no use case yet"
    return MatrixRow(
        environment=environment,
        who=holder.description,
        principal=holder.principal,
        access=holder.access.value,
        reach=reach if rights.schemas or rights.levels else NOTHING,
        workspace=rights.workspace.value if rights.workspace else NOTHING,
        data=_data(rights.schemas),
        jobs=_level(holder, Object.JOB),
        experiments=_level(holder, Object.EXPERIMENT),
        models=", ".join(sorted(p.value for p in rights.models)) or NOTHING,
    )


def _data(schemas: Mapping[Layer, frozenset[object]]) -> str:
    """Return the privileges on data, layers with the same privileges together."""
    together: dict[str, list[str]] = {}
    for layer, privileges in schemas.items():
        words = sorted(str(getattr(privilege, "value", privilege)) for privilege in privileges)
        shown = ", ".join(word for word in words if word != "USE_SCHEMA")
        together.setdefault(shown, []).append(layer.value)
    everything = len(Layer)
    return (
        "; ".join(
            f"{privileges} on {'every layer' if len(layers) == everything else ', '.join(layers)}"
            for privileges, layers in together.items()
        )
        or NOTHING
    )


def _level(holder: Holder, kind: Object) -> str:
    level = holder.rights.levels.get(kind)
    return level.value if level else NOTHING
