"""What an environment costs in a month, part by part, as far as the settings say it. Pure.

Counted are the hours of what exists all the time, and of what schedules start. What depends on use alone (storage, logs, data
that passes through, queries, runs by hand) has no quantity in the settings and is named as unknown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from infra.config.model import EnvironmentSettings, JobCompute, Schedules
from infra.config.prices import PriceTable
from pipelines.declarations.job import Job
from pipelines.declarations.use_case import UseCase

HOURS = 730.0
"""Of a month in the mean: 365 days of 24 hours, a twelfth of them."""
DAYS = HOURS / 24
BILLED_BY_HOUR = ("azurerm_nat_gateway", "azurerm_public_ip", "azurerm_private_endpoint")
"""Resource types that cost something for each hour in which they exist."""
BY_USE = (
    "storage, by what is stored",
    "logs, by what is written",
    "data that leaves, by what passes",
    "SQL warehouse, by its hours",
)
UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class CostPart:
    """One line of the cost of an environment.

    Attributes
    ----------
    key
        By which the price table names the unit; empty for what depends on use alone.
    hours
        In a month; None where the settings do not say it.
    """

    environment: str
    what: str
    key: str
    hours: float | None


def parts(
    name: str, settings: EnvironmentSettings, resources: Mapping[str, int], use_cases: Sequence[UseCase]
) -> tuple[CostPart, ...]:
    """Return the parts of an environment that cost something.

    Parameters
    ----------
    resources
        Resource type to how many of it the stacks of the environment have.
    """
    found = [
        CostPart(environment=name, what=f"{count} x {kind.removeprefix('azurerm_').replace('_', ' ')}", key=kind, hours=count * HOURS)
        for kind, count in sorted(resources.items())
        if kind in BILLED_BY_HOUR
    ]  # fmt: skip
    found += _compute(name, settings, use_cases)
    return (*found, *(CostPart(environment=name, what=what, key="", hours=None) for what in BY_USE))


def _compute(name: str, settings: EnvironmentSettings, use_cases: Sequence[UseCase]) -> list[CostPart]:
    compute, found = settings.compute, []
    if compute.pool.idle_minimum:
        found.append(
            CostPart(environment=name, what="idle machines of the pool", key=f"machine {compute.pool.node_type}",
                 hours=compute.pool.idle_minimum * HOURS)
        )  # fmt: skip
    if settings.jobs.schedules is Schedules.RUNNING:
        by_key: dict[str, float] = {}
        for job in (one for use_case in use_cases for one in use_case.jobs):
            key, hours = _job_hours(job, settings)
            by_key[key] = by_key.get(key, 0.0) + hours
        found += [
            CostPart(
                environment=name,
                what="scheduled jobs, each run as long as it is expected at most",
                key=key,
                hours=hours,
            )
            for key, hours in sorted(by_key.items())
            if hours
        ]
    if settings.serving is not None and not settings.serving.scale_to_zero:
        size = settings.serving.workload_size
        found += [
            CostPart(
                environment=name,
                what=f"endpoint of {use_case.name}, which never sleeps",
                key=f"serving {size}",
                hours=HOURS,
            )
            for use_case in use_cases
        ]
    return found


def _job_hours(job: Job, settings: EnvironmentSettings) -> tuple[str, float]:
    """Return what a job runs on, and its hours in a month: the driver and the least workers, in each scheduled run."""
    nodes = settings.compute.sizes[job.size]
    hours = runs_in_a_month(job.schedule.cron) * job.expected_minutes / 60 if job.schedule else 0.0
    if settings.compute.jobs_run_on is JobCompute.SERVERLESS:
        return "serverless job", hours
    return f"machine {nodes.node_type}", hours * (nodes.workers_minimum + 1)


def runs_in_a_month(cron: str) -> float:
    """Return how often a Quartz expression of ours fires in a month.

    Known are the forms that jobs declare: seconds and minutes fixed; each hour, or some; each day, some days of the week or
    of the month (https://www.quartz-scheduler.org/documentation/quartz-2.3.0/tutorials/crontrigger.html).
    """
    _seconds, _minutes, hours, day_of_month, _month, day_of_week = cron.split()[:6]
    a_day = 24.0 if hours == "*" else float(len(hours.split(",")))
    if day_of_week not in ("*", "?"):
        return a_day * DAYS * len(day_of_week.split(",")) / 7
    return a_day * (DAYS if day_of_month in ("*", "?") else float(len(day_of_month.split(","))))


def rows(found: Sequence[CostPart], prices: PriceTable) -> list[dict[str, str]]:
    """Return the table: each part with hours, price, source and cost of a month, and the total of what is known."""
    table = [_row(part, prices) for part in found]
    for name in dict.fromkeys(part.environment for part in found):
        own = [part for part in found if part.environment == name]
        known = [cost for part in own if (cost := _cost(part, prices)) is not None]
        missing = sum(_cost(part, prices) is None for part in own)
        table.append(
            {
                "environment": name, "part": "known in all", "hours": "", "price": "", "read": "",
                f"{prices.currency} per month": f"{sum(known):,.0f} and {missing} unknown parts",
            }
        )  # fmt: skip
    return table


def missing_prices(found: Sequence[CostPart], prices: PriceTable) -> tuple[str, ...]:
    """Return the keys that the price table lacks."""
    return tuple(sorted({part.key for part in found if part.key and prices.find(part.key) is None}))


def _cost(part: CostPart, prices: PriceTable) -> float | None:
    price = prices.find(part.key)
    return None if price is None or part.hours is None else part.hours * price.price


def _row(part: CostPart, prices: PriceTable) -> dict[str, str]:
    price, cost = prices.find(part.key), _cost(part, prices)
    return {
        "environment": part.environment,
        "part": part.what + (f" ({part.key})" if part.key and not part.key.startswith("azurerm_") else ""),
        "hours": UNKNOWN if part.hours is None else f"{part.hours:,.0f}",
        "price": UNKNOWN if price is None else f"{price.price:g}",
        "read": "" if price is None else f"{price.date}",
        f"{prices.currency} per month": UNKNOWN if cost is None else f"{cost:,.0f}",
    }


def as_markdown(table: Sequence[Mapping[str, str]]) -> str:
    """Return the table for a page."""
    columns = list(table[0])
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row.values())} |" for row in table)])
