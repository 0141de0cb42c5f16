"""The tables of the use case: what each feed delivers, its contract, and the feature tables built from it."""

from pipelines.api import FeatureTable, Layer, Rule, Source, Table, column, key

NAME = "air_time"
HERE = f"pipelines.use_cases.{NAME}"

SCHEDULE = Table(
    use_case=NAME,
    layer=Layer.BRONZE,
    name="schedule",
    comment="flights as scheduled; published before departure",
    columns=(
        key("flight_id"),
        key("prediction_at", "timestamp", "two hours before scheduled departure"),
        key("departure_hour", "int", "local"),
        key("carrier"),
        key("origin"),
        key("destination"),
        key("scheduled_minutes", "double", "scheduled minutes from gate to gate"),
    ),
    primary_key=("flight_id",),
    time_key="prediction_at",
)
REPORTS = Table(
    use_case=NAME,
    layer=Layer.BRONZE,
    name="reports",
    comment="the carriers' reports, filed days after the arrival: the source of labels and of histories",
    columns=(
        key("flight_id"),
        key("reported_at", "timestamp"),
        key("outcome", comment="landed, cancelled or diverted"),
        key("carrier"),
        key("origin"),
        key("destination"),
        column("air_time", "double", "minutes"),
    ),
    primary_key=("flight_id",),
    time_key="reported_at",
)
SOURCES = (
    Source(
        name="schedule",
        reader=f"{HERE}.sources:read_schedule",
        table=SCHEDULE,
        rules=(Rule(column="scheduled_minutes", minimum=0, maximum=1_440),),
    ),
    Source(
        name="reports",
        reader=f"{HERE}.sources:read_reports",
        table=REPORTS,
        rules=(
            Rule(column="air_time", minimum=5, maximum=1_200),
            Rule(column="outcome", allowed=("landed", "cancelled", "diverted")),
        ),
    ),
)

ROUTE_HISTORY = Table(
    use_case=NAME,
    layer=Layer.FEATURES,
    name="route_history",
    comment="reported flights of a route",
    columns=(
        key("origin"),
        key("destination"),
        key("known_at", "timestamp"),
        column("mean_air_time_7d", "double", "minutes"),
        column("mean_air_time_21d", "double", "minutes"),
    ),
    primary_key=("origin", "destination"),
    time_key="known_at",
)
LABELS = FeatureTable(
    table=Table(
        use_case=NAME,
        layer=Layer.FEATURES,
        name="labels",
        comment="minutes in the air, once reported; no label for cancelled and diverted flights",
        columns=(key("request_key"), key("known_at", "timestamp"), key("outcome"), column("label", "double")),
        primary_key=("request_key",),
        time_key="known_at",
    ),
    builder=f"{HERE}.features:labels",
    source=REPORTS,
    memory_days=0,
)
FEATURES = (
    FeatureTable(table=ROUTE_HISTORY, builder=f"{HERE}.features:route_history", source=REPORTS, memory_days=21),
)
