"""What an environment costs in a month, part by part, as far as the settings say it. Pure.

Counted are the hours of what exists all the time and of what schedules start, and gigabytes where the settings cap them. What
depends on use alone (storage, logs, data that passes through, queries, runs by hand) has no quantity in the settings and is named
as unknown.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from infra.config.model import EnvironmentSettings, JobCompute, Schedules, Serving
from infra.config.prices import HOURS, Per, Price, PriceTable, Unit
from infra.description.billing import (
    ALERT_RULE,
    BILLED_BY_HOUR,
    BILLED_BY_USE,
    FREQUENCY,
    LOGS,
    SERVED_AT_ONCE,
    SERVING_UNIT,
)
from ml.spec.near_miss import did_you_mean
from pipelines.declarations.job import Job
from pipelines.declarations.use_case import UseCase
from pipelines.telemetry.instruments import INSTRUMENTS

DAYS = HOURS / 24
WAREHOUSE = "databricks_sql_endpoint"
UNITS = "units of "
"""Before a machine's name: the key of what Databricks charges for an hour of it, beside what Azure charges."""
SCHEDULED, CONTINUOUS = "scheduled jobs, each run as long as it is expected at most", "continuous jobs, all hours"
UNKNOWN = "unknown"
NO_PRICE = "none in the table"
SHORT = {Unit.HOUR: "h", Unit.GIGABYTE: "GB"}


@dataclass(frozen=True, kw_only=True)
class CostPart:
    """One line of the cost of an environment.

    Attributes
    ----------
    key
        By which the price table names it.
    least, most
        How much of it a month has; None where the settings do not say it.
    unit
        What is counted.
    """

    environment: str
    what: str
    key: str
    least: float | None
    most: float | None
    unit: Unit = Unit.HOUR


@dataclass(frozen=True, kw_only=True)
class MonthlyCost:
    """What an environment costs in a month, as far as it is known.

    Attributes
    ----------
    least, most
        The bounds of what is known, in the currency of the price table.
    unknown
        The parts whose hours or price nobody has stated; they are not free.
    """

    environment: str
    least: float
    most: float
    unknown: tuple[str, ...]


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
        _always(name, f"{count} x {BILLED_BY_HOUR[kind]}", kind, count)
        for kind, count in sorted(resources.items())
        if kind in BILLED_BY_HOUR
    ]
    found += _compute(name, settings, use_cases)
    found += [_by_use(name, what, key) for kind, (what, key) in BILLED_BY_USE.items() if resources.get(kind)]
    if resources.get(WAREHOUSE):
        found.append(_by_use(name, "SQL warehouse, by its hours", f"warehouse {settings.compute.warehouse.size}"))
    if settings.serving is not None and settings.serving.online_store is not None:
        found.append(_by_use(name, "publishing to the online store, by what its pipelines run", "publishing"))
    if settings.telemetry is not None:
        daily = settings.telemetry.daily_gigabytes
        what = f"telemetry, by what is sent, at most {daily:g} GB a day"
        found.append(CostPart(environment=name, what=what, key=LOGS, least=0.0, most=daily * DAYS, unit=Unit.GIGABYTE))
        rules = Counter(min(alert.every_minutes, FREQUENCY) for one in INSTRUMENTS for alert in one.alerts)
        found += [
            _always(name, f"{count} x alert rule", ALERT_RULE.format(minutes=minutes), count)
            for minutes, count in sorted(rules.items())
        ]
    return tuple(found)


def _by_use(environment: str, what: str, key: str) -> CostPart:
    return CostPart(environment=environment, what=what, key=key, least=None, most=None)


def _always(environment: str, what: str, key: str, count: int = 1) -> CostPart:
    return CostPart(environment=environment, what=what, key=key, least=count * HOURS, most=count * HOURS)


def _compute(name: str, settings: EnvironmentSettings, use_cases: Sequence[UseCase]) -> list[CostPart]:
    compute, found = settings.compute, []
    if compute.pool.idle_minimum:
        key = f"machine {compute.pool.node_type}"
        found.append(_always(name, "idle machines of the pool", key, compute.pool.idle_minimum))
    if settings.jobs.schedules is Schedules.RUNNING:
        found += _scheduled(name, settings, use_cases)
    if settings.serving is not None:
        found += [_endpoint(name, settings.serving, use_case) for use_case in use_cases]
        if settings.serving.online_store is not None:
            store = settings.serving.online_store
            key, copies = f"online store {store.capacity}", 1 + store.read_replicas
            found.append(_always(name, "online store, with its read replicas", key, copies))
    return found


def _endpoint(name: str, serving: Serving, use_case: UseCase) -> CostPart:
    """Return what an endpoint costs: the requests that it can answer at once, each an hour of a unit while it is awake."""
    sleeps = "sleeps without calls" if serving.scale_to_zero else "never sleeps"
    what = f"endpoint of {use_case.name}, which {sleeps}"
    at_once = SERVED_AT_ONCE.get(serving.workload_size)
    key = SERVING_UNIT if at_once else f"serving {serving.workload_size}"
    fewest, most = at_once or (1, 1)
    if at_once:
        what += f", {between(fewest, most)} requests at once"
    least = 0.0 if serving.scale_to_zero else fewest * HOURS
    return CostPart(environment=name, what=what, key=key, least=least, most=most * HOURS)


def _scheduled(name: str, settings: EnvironmentSettings, use_cases: Sequence[UseCase]) -> list[CostPart]:
    """Return what schedules start and what runs all the time, together for each machine: its own hours, and their units.

    A machine that is idle in a pool costs its own hours only
    (https://learn.microsoft.com/en-us/azure/databricks/compute/pool-index).
    """
    by_key: dict[tuple[str, str], list[float]] = {}
    for job in (one for use_case in use_cases for one in use_case.jobs):
        key, least, most = _job_hours(job, settings)
        hours = by_key.setdefault((CONTINUOUS if job.continuous else SCHEDULED, key), [0.0, 0.0])
        hours[0] += least
        hours[1] += most
    return [
        CostPart(environment=name, what=what, key=charged, least=least, most=most)
        for (what, key), (least, most) in sorted(by_key.items())
        for charged in ((key, UNITS + key.removeprefix("machine ")) if key.startswith("machine ") else (key,))
        if most
    ]


def _job_hours(job: Job, settings: EnvironmentSettings) -> tuple[str, float, float]:
    """Return what a job runs on, and its hours in a month: the driver with the least and with the most workers."""
    nodes = settings.compute.sizes[job.size]
    scheduled = runs_in_a_month(job.schedule.cron) * job.expected_minutes / 60 if job.schedule else 0.0
    hours = float(HOURS) if job.continuous else scheduled
    if settings.compute.jobs_run_on is JobCompute.SERVERLESS:
        return "serverless job", hours, hours
    return f"machine {nodes.node_type}", hours * (nodes.workers_minimum + 1), hours * (nodes.workers_maximum + 1)


def months(found: Sequence[CostPart], prices: PriceTable) -> dict[str, MonthlyCost]:
    """Return what each environment costs in a month."""
    made = {}
    for name in dict.fromkeys(part.environment for part in found):
        own = [part for part in found if part.environment == name]
        known = [cost for part in own if (cost := _cost(part, prices)) is not None]
        made[name] = MonthlyCost(
            environment=name,
            least=sum(least for least, _ in known),
            most=sum(most for _, most in known),
            unknown=tuple(part.what for part in own if _cost(part, prices) is None),
        )
    return made


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
    """Return the table: each part with its quantity, price, day and cost of a month, and the total with what it leaves out."""
    table = [_row(part, prices) for part in found]
    for month in months(found, prices).values():
        own = [part for part in found if part.environment == month.environment]
        left_out = "; ".join(dict.fromkeys(part.key for part in own if _cost(part, prices) is None))
        table.append(
            {
                "environment": month.environment, "part": "known in all" + (f", without {left_out}" if left_out else ""),
                "counted": "", "price": "", "read": "",
                f"{prices.currency} per month": f"{between(month.least, month.most)} and {len(month.unknown)} unknown parts",
            }
        )  # fmt: skip
    return table


def between(least: float, most: float) -> str:
    """Return a range for people; one number where both ends are the same."""
    low, high = f"{least:,.0f}", f"{most:,.0f}"
    return low if low == high else f"{low} to {high}"


def missing_prices(found: Sequence[CostPart], prices: PriceTable) -> tuple[str, ...]:
    """Return the keys that the price table lacks."""
    return tuple(sorted({part.key for part in found if part.key and _price(part, prices) is None}))


def unused_prices(found: Sequence[CostPart], prices: PriceTable) -> tuple[str, ...]:
    """Return a sentence for each price that prices no part: its key is another one, or it is of another unit.

    Parameters
    ----------
    found
        The parts of every environment.
    prices
        Those that somebody has stated. Of the list prices that ship, many are for other settings.
    """
    units = {key: part.unit for part in found for key in (part.key, f"{part.environment} {part.key}")}
    said = []
    for price in prices.prices:
        if price.key not in units:
            near = did_you_mean(price.key, units)
            said.append(f"{price.key!r} is the key of no part" + (f": {near}" if near else ""))
        elif price.unit != units[price.key]:
            said.append(f"{price.key!r} is priced per {price.per}, and its part is counted in {units[price.key]}s")
    return tuple(said)


def _price(part: CostPart, prices: PriceTable) -> Price | None:
    """Return the price of a part; None where there is none for what is counted of it."""
    price = prices.find(f"{part.environment} {part.key}") or prices.find(part.key)
    return price if price is not None and price.unit == part.unit else None


def _cost(part: CostPart, prices: PriceTable) -> tuple[float, float] | None:
    price = _price(part, prices)
    if price is not None and price.per is Per.MONTH and part.least is None:
        return price.price, price.price
    if price is None or part.least is None or part.most is None:
        return None
    return part.least * price.of_unit, part.most * price.of_unit


def _row(part: CostPart, prices: PriceTable) -> dict[str, str]:
    price, cost = _price(part, prices), _cost(part, prices)
    return {
        "environment": part.environment,
        "part": f"{part.what} ({part.key})",
        "counted": UNKNOWN
        if part.least is None or part.most is None
        else f"{between(part.least, part.most)} {SHORT[part.unit]}",
        "price": NO_PRICE if price is None else price.text,
        "read": "" if price is None else f"{price.date}",
        f"{prices.currency} per month": UNKNOWN if cost is None else between(*cost),
    }


def as_markdown(table: Sequence[Mapping[str, str]]) -> str:
    """Return the table for a page."""
    columns = list(table[0])
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row.values())} |" for row in table)])
