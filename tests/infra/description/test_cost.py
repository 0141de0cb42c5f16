"""What an environment costs follows from its settings and the dated prices; what is not known is unknown, not free."""

import datetime as dt
import os
import re
from collections import Counter
from pathlib import Path

import pytest

from infra.__main__ import main
from infra.build.release import ROOT, current_release
from infra.commands.cost import estimate
from infra.config.loading import FOLDER, Settings
from infra.config.model import JobCompute, Schedules
from infra.config.prices import FILE, HOURS, PriceTable, Unit, read_prices
from infra.description.billing import BILLED_BY_HOUR, BILLED_BY_USE, COUNTED_BY_SETTINGS, WITHOUT_COST
from infra.description.cost import (
    NO_PRICE,
    SCHEDULED,
    UNKNOWN,
    CostPart,
    as_markdown,
    missing_prices,
    parts,
    rows,
    runs_in_a_month,
    unused_prices,
)
from infra.stacks.estate import stacks
from pipelines.declarations.mistakes import DeclarationError
from pipelines.declarations.registry import use_cases
from pipelines.telemetry.instruments import INSTRUMENTS
from tests.infra.conftest import PUBLISHING, SettingsFolder

PAGE = ROOT / "docs" / "cost.md"
SHIPPED = read_prices(FOLDER)
PRICES = PriceTable.model_validate(
    {"currency": "EUR", "prices": [{"key": "azurerm_nat_gateway", "price": 0.1, "per": "hour",
                                    "source": "https://prices.example/nat", "date": "2026-11-28"}]}
)  # fmt: skip


@pytest.mark.parametrize(
    ("cron", "runs"), [("0 15 * * * ?", 730.0), ("0 0 6 * * ?", 30.4), ("0 0 3 ? * SUN", 4.35), ("0 0 3 1 * ?", 1.0), ("0 0 6,18 * * ?", 60.8)],
)  # fmt: skip
def test_a_schedule_says_how_often_it_runs_in_a_month(cron: str, runs: float) -> None:
    """Each hour, each day, each Sunday, once, twice a day."""
    assert runs_in_a_month(cron) == pytest.approx(runs, abs=0.05)


def test_every_schedule_of_ours_is_understood() -> None:
    """None raises, and none is counted as never."""
    crons = {job.schedule.cron for use_case in use_cases() for job in use_case.jobs if job.schedule}
    assert all(runs_in_a_month(cron) > 0 for cron in crons)


def test_telemetry_is_a_part_with_its_cap_and_its_alert_rules(
    settings: Settings, settings_with_telemetry: Settings
) -> None:
    """Gigabytes up to the cap, rules by how often they look; without the setting there is no such part."""
    found = parts("dev", settings_with_telemetry.environments["dev"], {}, use_cases())
    (sent,) = [part for part in found if part.key == "gigabyte of logs"]
    assert (sent.least, sent.most, sent.unit) == (0.0, HOURS / 24, Unit.GIGABYTE)
    rules = {part.key: part.most for part in found if "alert rule" in part.what}
    declared = Counter(min(alert.every_minutes, 15) for one in INSTRUMENTS for alert in one.alerts)
    assert rules == {f"alert rule every {minutes} minutes": count * HOURS for minutes, count in declared.items()}
    assert not [
        part for part in parts("dev", settings.environments["dev"], {}, use_cases()) if "telemetry" in part.what
    ]


def test_a_price_that_is_missing_is_unknown_and_named(settings: Settings) -> None:
    """It is not zero, and the sum says how many parts it leaves out."""
    found = parts("prod", settings.environments["prod"], {"azurerm_nat_gateway": 2, "azurerm_private_endpoint": 3, "azurerm_subnet": 9}, use_cases())  # fmt: skip
    table = rows(found, PRICES)
    by_part = {row["part"]: row["EUR per month"] for row in table}
    assert by_part["2 x nat gateway (azurerm_nat_gateway)"] == "146"
    assert by_part["3 x private endpoint (azurerm_private_endpoint)"] == UNKNOWN
    assert not any("subnet" in part for part in by_part)
    unpriced = next(row for row in table if row["part"].startswith("3 x private endpoint"))
    assert unpriced["price"] == NO_PRICE
    unknown = sum(row["EUR per month"] == UNKNOWN for row in table)
    (total,) = [part for part in by_part if part.startswith("known in all")]
    assert by_part[total] == f"146 and {unknown} unknown parts"
    assert total.startswith("known in all, without azurerm_private_endpoint; ")
    assert "azurerm_private_endpoint" in missing_prices(found, PRICES)
    assert "azurerm_nat_gateway" not in missing_prices(found, PRICES)


def test_every_resource_type_of_the_stacks_is_billed_by_something_or_free_for_a_reason(
    settings: Settings, settings_with_telemetry: Settings, settings_with_stores: Settings
) -> None:
    """Each type by its whole name, no entry is left over, none is both, and what is free says why and where that is written."""
    types = {
        resource.type
        for shipped, declared in (
            (settings, use_cases()),
            (settings_with_telemetry, use_cases()),
            (settings_with_stores, PUBLISHING),
        )
        for stack in stacks(shipped, declared, current_release())
        for resource in stack.resources.values()
        if not resource.is_data
    }
    billed = BILLED_BY_HOUR.keys() | BILLED_BY_USE.keys() | COUNTED_BY_SETTINGS
    free = [kind for group in WITHOUT_COST for kind in sorted(group.types)]
    assert sorted(types - billed - set(free)) == []
    assert sorted((billed | set(free)) - types) == []
    assert sorted(billed & set(free)) == [kind for kind, number in Counter(free).items() if number > 1] == []
    assert not COUNTED_BY_SETTINGS & (BILLED_BY_HOUR.keys() | BILLED_BY_USE.keys())
    assert all(group.reason.endswith(".") and group.source.startswith("https://") for group in WITHOUT_COST)


def test_every_part_of_the_shipped_settings_has_a_price_or_says_that_it_has_none(
    settings: Settings, settings_with_telemetry: Settings, settings_with_stores: Settings
) -> None:
    """The keys without a price, all of them: a new one is a price to look up. A company states its own by the key in brackets."""
    without = set[str]()
    for stated, declared in ((settings, use_cases()), (settings_with_telemetry, use_cases()), (settings_with_stores, PUBLISHING)):  # fmt: skip
        for name, one in stated.environments.items():
            everything = dict.fromkeys((*BILLED_BY_HOUR, *BILLED_BY_USE, "databricks_sql_endpoint"), 1)
            found = parts(name, one, everything, declared)
            assert all(part.key for part in found)
            assert all(f"({part.key})" in row["part"] for part, row in zip(found, rows(found, SHIPPED), strict=False))
            without |= set(missing_prices(found, SHIPPED))
    assert without == {
        *(key for _, key in BILLED_BY_USE.values()), "publishing", "online store CU_1", "online store CU_2",
        "units of Standard_D4ds_v5", "units of Standard_D8ds_v5",
    }  # fmt: skip


def test_a_machine_has_a_price_of_its_own_and_one_of_its_units(settings: Settings) -> None:
    """For jobs both, for the same hours; for idle machines of a pool the machine's alone."""
    prod = settings.environments["prod"]
    found = [part for part in parts("prod", prod, {}, use_cases()) if "Standard_D" in part.key]
    hours = {(part.what, part.key): (part.least, part.most) for part in found}
    jobs = {key: value for (what, key), value in hours.items() if what == SCHEDULED}
    assert {key for what, key in hours if what != SCHEDULED} == {f"machine {prod.compute.pool.node_type}"}
    assert {key.split()[0] for key in jobs} == {"machine", "units"}
    assert all(jobs[f"units of {key.split()[-1]}"] == value for key, value in jobs.items())


def test_a_price_of_a_region_says_so_and_a_warehouse_shows_its_hour(settings: Settings) -> None:
    """Also where the settings state no hours, so that nothing is summed."""
    price = {"key": "warehouse Small", "price": 8.4, "per": "hour", "region": "eastus", "source": "https://prices.example/w", "date": "2026-11-28"}  # fmt: skip
    table = rows(
        parts("prod", settings.environments["prod"], {"databricks_sql_endpoint": 1}, use_cases()),
        PriceTable.model_validate({"currency": "EUR", "prices": [price]}),
    )
    (shown,) = [row for row in table if row["part"].startswith("SQL warehouse")]
    assert shown == {"environment": "prod", "part": "SQL warehouse, by its hours (warehouse Small)", "counted": UNKNOWN,
                     "price": "8.4 per hour in eastus", "read": "2026-11-28", "EUR per month": UNKNOWN}  # fmt: skip


def _priced(part: CostPart, **stated: str | float) -> str:
    """Return the cost of a part by a table of one price."""
    price = {"key": part.key, "source": "https://prices.example/p", "date": "2026-11-28", **stated}
    return rows([part], PriceTable.model_validate({"currency": "EUR", "prices": [price]}))[0]["EUR per month"]


def test_a_price_is_of_an_hour_a_month_or_a_gigabyte(settings: Settings) -> None:
    """A month has all its hours; a price for another unit is none; one of an environment stands before the others'."""
    zone, storage, *_ = (
        part for part in parts("dev", settings.environments["dev"], {"azurerm_private_dns_zone": 4, "azurerm_storage_account": 1}, use_cases())
        if part.key in ("azurerm_private_dns_zone", "storage")
    )  # fmt: skip
    assert _priced(zone, price=0.5, per="month") == "2"
    assert _priced(zone, price=0.5, per="hour") == "1,460"
    assert _priced(zone, price=0.5, per="gigabyte") == UNKNOWN
    assert _priced(storage, price=120, per="hour") == UNKNOWN
    assert _priced(storage, price=120, per="month") == "120"
    assert _priced(storage, price=120, per="month", key="dev storage") == "120"
    assert _priced(storage, price=120, per="month", key="prod storage") == UNKNOWN


def test_settings_change_the_parts(settings: Settings) -> None:
    """Paused schedules start nothing; serverless jobs run on no machine of ours; an endpoint that sleeps may cost nothing."""
    prod = settings.environments["prod"]
    whats = [part.what for part in parts("prod", prod, {}, use_cases())]
    assert sum(what.startswith("scheduled jobs") for what in whats) >= 1
    assert sum("never sleeps" in what for what in whats) == len(use_cases())
    paused = prod.model_copy(update={"jobs": prod.jobs.model_copy(update={"schedules": Schedules.PAUSED})})
    assert not any(part.what.startswith("scheduled") for part in parts("prod", paused, {}, use_cases()))
    serverless = prod.model_copy(
        update={"compute": prod.compute.model_copy(update={"jobs_run_on": JobCompute.SERVERLESS})}
    )
    keys = {part.key for part in parts("prod", serverless, {}, use_cases()) if part.what.startswith("scheduled")}
    assert keys == {"serverless job"}
    scheduled = [part for part in parts("prod", prod, {}, use_cases()) if part.what.startswith("scheduled")]
    assert all(part.least < part.most for part in scheduled if part.least is not None and part.most is not None)
    assert prod.serving is not None
    sleeping = prod.model_copy(update={"serving": prod.serving.model_copy(update={"scale_to_zero": True})})
    asleep = [part for part in parts("prod", sleeping, {}, use_cases()) if "sleeps without calls" in part.what]
    assert [(part.least, part.most) for part in asleep] == [(0.0, 16 * HOURS)] * len(use_cases())
    awake = [part for part in parts("prod", prod, {}, use_cases()) if "never sleeps" in part.what]
    assert {(part.key, part.least, part.most) for part in awake} == {("unit of serving", 8 * HOURS, 16 * HOURS)}
    huge = prod.model_copy(update={"serving": prod.serving.model_copy(update={"workload_size": "2X-Large"})})
    assert "serving 2X-Large" in {part.key for part in parts("prod", huge, {}, use_cases())}
    dev = {part.what for part in parts("dev", settings.environments["dev"], {}, use_cases())}
    assert not any("never sleeps" in what or "idle machines" in what for what in dev)


def test_every_shipped_price_has_a_source_and_a_date_that_is_past() -> None:
    """The file is read by the same rules as settings."""
    prices = read_prices(FOLDER)
    assert prices.prices
    assert all(
        price.source.startswith("https://") and price.date <= dt.datetime.now(dt.UTC).date() for price in prices.prices
    )


@pytest.mark.parametrize(
    ("row", "said"),
    [("price: 0.1, per: hour, source: 'https://x.example/', ", "date"), ("price: 0.1, per: year, source: 'https://x.example/', date: 2026-11-01", "per"),
     ("price: -1, per: hour, source: 'https://x.example/', date: 2026-11-01", "price"), ("price: 1, per: hour, source: heard, date: 2026-11-01", "source")],
)  # fmt: skip
def test_a_price_without_its_source_or_date_is_refused(tmp_path: Path, row: str, said: str) -> None:
    """By field."""
    (tmp_path / FILE).parent.mkdir()
    (tmp_path / FILE).write_text(f"currency: EUR\nprices: [{{key: a, {row}}}]\n")
    with pytest.raises(DeclarationError, match=rf"prices\.0\.{said}"):
        read_prices(tmp_path)


def test_a_companys_prices_stand_instead_of_the_shipped_ones(tmp_path: Path) -> None:
    """Key by key in the same currency; in another one its own alone; without a file the shipped list prices alone."""
    shipped = read_prices(tmp_path)
    key = "machine Standard_D4ds_v5"
    assert shipped.find(key)
    own = f"prices: [{{key: {key}, price: 9, per: hour, source: 'https://x.example/', date: 2026-11-01}}]\n"
    (tmp_path / FILE).parent.mkdir()
    (tmp_path / FILE).write_text(f"currency: {shipped.currency}\n{own}")
    found = read_prices(tmp_path)
    assert {price.key for price in found.prices} == {price.key for price in shipped.prices}
    assert [price.price for price in found.prices if price.key == key] == [9]
    (tmp_path / FILE).write_text(f"currency: CHF\n{own}")
    assert [price.key for price in read_prices(tmp_path).prices] == [key]


def test_a_price_that_prices_nothing_is_named(settings: Settings) -> None:
    """A misspelt key, an environment that does not exist, a unit that is not counted; what prices a part is not named."""
    found = parts("prod", settings.environments["prod"], {"azurerm_storage_account": 1, "azurerm_nat_gateway": 1, "databricks_sql_endpoint": 1}, use_cases())  # fmt: skip
    stated = [
        ("warehouse small", "hour"), ("production storage", "month"), ("azurerm_nat_gateway", "gigabyte"),
        ("warehouse Small", "hour"), ("prod storage", "month"), ("storage", "month"),
    ]  # fmt: skip
    table = PriceTable.model_validate(
        {
            "currency": "EUR",
            "prices": [
                {"key": key, "price": 1, "per": per, "source": "https://prices.example/p", "date": "2026-11-28"}
                for key, per in stated
            ],
        }
    )
    assert unused_prices(found, table) == (
        "'warehouse small' is the key of no part: did you mean 'warehouse Small'?",
        "'production storage' is the key of no part: did you mean 'prod storage'?",
        "'azurerm_nat_gateway' is priced per gigabyte, and its part is counted in hours",
    )


def test_the_command_names_the_file_in_which_a_price_is_missing_or_without_effect(
    folder: SettingsFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file that was read, so that its reader finds it; the shipped settings state no price without effect."""
    assert main(["cost", "dev"]) == 0
    said = capsys.readouterr().out
    assert "Add rows to infra/settings/prices/prices.yaml" in said
    assert "without effect" not in said
    stated = "{key: prod storge, price: 1, per: month, source: 'https://x.example/', date: 2026-11-01}"
    (folder.path / FILE).parent.mkdir(exist_ok=True)
    (folder.path / FILE).write_text(f"currency: USD\nprices: [{stated}]\n", encoding="utf-8")
    assert main(["cost", "dev", "--settings", str(folder.path)]) == 0
    said = capsys.readouterr().out
    assert f"Add rows to {folder.path / FILE}" in said
    assert (
        f"without effect in {folder.path / FILE}: 'prod storge' is the key of no part: did you mean 'prod storage'?"
        in said
    )


def test_the_page_shows_the_table_of_the_settings() -> None:
    """The output of `python -m infra cost`; REWRITE_GOLDEN=1 writes it again."""
    found, prices = estimate()
    table = as_markdown(rows(found, prices))
    page = PAGE.read_text(encoding="utf-8")
    before, shown, after = re.split(r"(?<=<!-- cost -->\n\n)(.*)(?=\n\n<!-- end of cost -->)", page, flags=re.DOTALL)
    if os.environ.get("REWRITE_GOLDEN"):
        PAGE.write_text(before + table + after, encoding="utf-8")
    else:
        assert shown == table
