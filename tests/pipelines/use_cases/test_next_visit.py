"""The feeds of the third use case deliver what was known: a return when it happens, and that nobody came back never."""

import datetime as dt
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from pipelines.use_cases.next_visit import sources

BEGIN, END = dt.datetime(2017, 1, 1, tzinfo=dt.UTC), dt.datetime(2018, 1, 1, tzinfo=dt.UTC)
MONDAY = dt.datetime(2017, 5, 1, 18, tzinfo=dt.UTC)
Visit = tuple[int, float, float]
"""Household, days after `MONDAY`, dollars."""


def feeds(folder: Path, *visits: Visit) -> str:
    """The package's two files with one product line for each visit, whose basket's number is its place."""
    lines = [
        {
            "household_id": household, "store_id": 7, "basket_id": number, "product_id": 5, "quantity": 1,
            "sales_value": paid, "retail_disc": 0.5, "coupon_disc": 0.25, "coupon_match_disc": 0.0, "week": 18,
            "transaction_timestamp": (MONDAY + dt.timedelta(days=days)).replace(tzinfo=None),
        }
        for number, (household, days, paid) in enumerate(visits)
    ]  # fmt: skip
    parquet.write_table(pa.Table.from_pylist(lines), folder / "transactions.parquet")
    known = {name: ["45-54"] if name == "age" else [None] for name in sources.HOUSEHOLDS} | {"household_id": [1]}
    parquet.write_table(pa.table(known), folder / "demographics.parquet")
    return str(folder)


def reports(location: str) -> list[tuple[str, float, str]]:
    """Basket, days after `MONDAY` on which something was learned of it, and what."""
    rows = sources.read_visits(location, BEGIN, END).to_pylist()
    return [(row["basket_id"], (row["seen_at"] - MONDAY) / dt.timedelta(days=1), row["outcome"]) for row in rows]


def test_a_return_is_known_when_it_happens_and_its_absence_is_never_reported(tmp_path: Path) -> None:
    """Household 1 is back after three days and then after nine; household 2 never."""
    location = feeds(tmp_path, (1, 0, 10.0), (1, 3, 5.0), (1, 12, 8.0), (2, 1, 4.0))
    assert reports(location) == [("0", 3.0, "returned")]


def test_a_visit_without_a_payment_is_taken_back_the_next_morning(tmp_path: Path) -> None:
    """At ten o'clock in UTC; a real visit within the seven days counts again; no question is asked about the void one."""
    location = feeds(tmp_path, (1, 0, 10.0), (1, 2, 0.0), (1, 5, 6.0))
    morning = 2 + 16 / 24
    assert reports(location) == [("0", 2.0, "returned"), ("0", morning, "voided"), ("0", 5.0, "returned")]
    asked = sources.read_checkouts(location, BEGIN, END)["basket_id"].to_pylist()
    assert asked == ["0", "2"]


def test_who_has_really_come_before_the_morning_is_not_taken_back(tmp_path: Path) -> None:
    """Two hours after the till at which nothing was paid."""
    location = feeds(tmp_path, (1, 0, 10.0), (1, 2, 0.0), (1, 2 + 2 / 24, 6.0))
    assert [outcome for _, _, outcome in reports(location)] == ["returned", "returned"]


def test_each_row_is_delivered_in_the_window_in_which_it_became_known(tmp_path: Path) -> None:
    """Windows that touch deliver each row once; the age is of the household, where it is known."""
    location = feeds(tmp_path, (1, 0, 10.0), (1, 3, 5.0), (2, 1, 4.0))
    third = MONDAY + dt.timedelta(days=3)
    for read, whole in ((sources.read_checkouts, 3), (sources.read_visits, 1)):
        parts = [read(location, BEGIN, third), read(location, third, END)]
        assert [part.num_rows for part in parts] == [2, 1] if whole == 3 else [0, 1]
    rows = sources.read_checkouts(location, BEGIN, END).to_pylist()
    assert {(row["household_id"], row["age"]) for row in rows} == {("1", "45-54"), ("2", "unknown")}
    assert {(row["products"], row["discount"]) for row in rows} == {(1, 0.75)}


def test_the_packaged_year_is_read() -> None:
    """Every paid basket is asked about once, and four in five households are back within seven days."""
    asked = sources.read_checkouts("", BEGIN, END)
    baskets = asked["basket_id"].to_pylist()
    assert len(baskets) == len(set(baskets)) > 150_000
    returned = {row["basket_id"] for row in sources.read_visits("", BEGIN, END).to_pylist()}
    assert returned < set(baskets)
    assert 0.7 < len(returned) / len(baskets) < 0.85
