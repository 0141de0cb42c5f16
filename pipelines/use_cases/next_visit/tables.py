"""The tables of the use case: what each feed delivers, its contract, and the feature table built from it."""

from pipelines.api import FeatureTable, Layer, Rule, Source, Table, column, key

NAME = "next_visit"
HERE = f"pipelines.use_cases.{NAME}"

CHECKOUTS = Table(
    use_case=NAME,
    layer=Layer.BRONZE,
    name="checkouts",
    comment="paid baskets, each delivered when it is paid",
    columns=(
        key("basket_id"),
        key("paid_at", "timestamp"),
        key("household_id"),
        key("store_id"),
        key("age", comment="of the head of the household, as a range; unknown for most"),
        key("products", "int", "different products in the basket"),
        key("amount", "double", "dollars paid"),
        key("discount", "double", "dollars that cards and coupons took off"),
    ),
    primary_key=("basket_id",),
    time_key="paid_at",
)
VISITS = Table(
    use_case=NAME,
    layer=Layer.BRONZE,
    name="visits",
    comment="what is learned of a basket's household in the seven days after it: that it is back, or was not after all",
    columns=(
        key("basket_id"),
        key("seen_at", "timestamp"),
        key("outcome", comment="returned, or voided: nothing was paid at the till"),
    ),
    primary_key=("basket_id",),
    time_key="seen_at",
)
SOURCES = (
    Source(
        name="checkouts",
        reader=f"{HERE}.sources:read_checkouts",
        table=CHECKOUTS,
        rules=(Rule(column="amount", minimum=0.01, maximum=10_000), Rule(column="products", minimum=1)),
        time_zone="UTC",
    ),
    Source(
        name="visits",
        reader=f"{HERE}.sources:read_visits",
        table=VISITS,
        rules=(Rule(column="outcome", allowed=("returned", "voided")),),
        time_zone="UTC",
    ),
)

HOUSEHOLD_HISTORY = Table(
    use_case=NAME,
    layer=Layer.FEATURES,
    name="household_history",
    comment="the baskets of a household up to and including one of them",
    columns=(
        key("household_id"),
        key("known_at", "timestamp"),
        column("visits_7d", "double"),
        column("visits_28d", "double"),
        column("mean_amount_28d", "double", "dollars"),
    ),
    primary_key=("household_id",),
    time_key="known_at",
)
LABELS = FeatureTable(
    table=Table(
        use_case=NAME,
        layer=Layer.FEATURES,
        name="labels",
        comment="1 once the household is back; who never comes back within seven days has no row",
        columns=(key("request_key"), key("known_at", "timestamp"), key("outcome"), column("label", "double")),
        primary_key=("request_key",),
        time_key="known_at",
    ),
    builder=f"{HERE}.features:labels",
    source=VISITS,
    memory_days=0,
)
FEATURES = (
    FeatureTable(
        table=HOUSEHOLD_HISTORY, builder=f"{HERE}.features:household_history", source=CHECKOUTS, memory_days=28
    ),
)
