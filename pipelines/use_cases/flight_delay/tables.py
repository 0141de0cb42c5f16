"""The tables of the use case: what each feed delivers, its contract, and the feature tables built from it."""

import datetime as dt

from pipelines.api import Column, FeatureTable, Layer, Rule, Source, Table, column, key

NAME = "flight_delay"
HERE = f"pipelines.use_cases.{NAME}"


def _table(
    layer: Layer, name: str, comment: str, columns: tuple[Column, ...], keys: tuple[str, ...], time: str
) -> Table:
    return Table(
        use_case=NAME, layer=layer, name=name, comment=comment, columns=columns, primary_key=keys, time_key=time
    )


SCHEDULE = _table(
    Layer.BRONZE,
    "schedule",
    "flights as scheduled; published before departure",
    (
        key("flight_id"),
        key("prediction_at", "timestamp", "two hours before scheduled departure"),
        key("scheduled_departure_at", "timestamp"),
        key("departure_hour", "int", "local"),
        key("departure_weekday", "int", "local; Monday is 0"),
        key("carrier"),
        key("flight", "int"),
        column("tailnum", "string"),
        key("origin"),
        key("destination"),
        key("distance", "double"),
        key("scheduled_minutes", "double", "scheduled minutes from gate to gate"),
    ),
    ("flight_id",),
    "prediction_at",
)
ARRIVALS = _table(
    Layer.BRONZE,
    "arrivals",
    "what became of each flight; known once it has landed",
    (
        key("flight_id"),
        key("known_at", "timestamp"),
        key("outcome", comment="landed, cancelled or diverted"),
        key("carrier"),
        key("origin"),
        key("destination"),
        column("tailnum", "string"),
        key("departure_hour", "int"),
        column("departure_delay", "double"),
        column("arrival_delay", "double"),
    ),
    ("flight_id",),
    "known_at",
)
REPORTS = _table(
    Layer.BRONZE,
    "reports",
    "the carriers' on-time reports, filed days after the arrival: the source of labels",
    (
        key("flight_id"),
        key("reported_at", "timestamp"),
        key("outcome", comment="landed, cancelled or diverted"),
        column("arrival_delay", "double"),
    ),
    ("flight_id",),
    "reported_at",
)
WEATHER = _table(
    Layer.BRONZE,
    "weather",
    "hourly observations at the three airports",
    (
        key("origin"),
        key("published_at", "timestamp", "an hour after the observation's own hour"),
        column("temperature", "double"),
        column("dew_point", "double"),
        column("humidity", "double"),
        column("wind_speed", "double"),
        column("precipitation", "double"),
        column("pressure", "double"),
        column("visibility", "double"),
    ),
    ("origin",),
    "published_at",
)
AIRCRAFT = _table(
    Layer.BRONZE,
    "aircraft",
    "the register of aircraft",
    (
        key("tailnum"),
        key("registered_at", "timestamp"),
        column("built", "int"),
        column("manufacturer", "string"),
        column("engines", "int"),
        column("seats", "int"),
    ),
    ("tailnum",),
    "registered_at",
)

SOURCES = (
    Source(
        name="schedule",
        reader=f"{HERE}.sources:read_schedule",
        table=SCHEDULE,
        rules=(
            Rule(column="distance", minimum=1, maximum=12_000),
            Rule(column="origin", allowed=("EWR", "JFK", "LGA")),
        ),
    ),
    Source(
        name="arrivals",
        reader=f"{HERE}.sources:read_arrivals",
        table=ARRIVALS,
        rules=(
            Rule(column="arrival_delay", minimum=-180, maximum=2_880),
            Rule(column="outcome", allowed=("landed", "cancelled", "diverted")),
        ),
    ),
    Source(
        name="reports",
        reader=f"{HERE}.sources:read_reports",
        table=REPORTS,
        rules=(
            Rule(column="arrival_delay", minimum=-180, maximum=2_880),
            Rule(column="outcome", allowed=("landed", "cancelled", "diverted")),
        ),
    ),
    Source(
        name="weather",
        reader=f"{HERE}.sources:read_weather",
        table=WEATHER,
        rules=(
            Rule(column="temperature", minimum=-60, maximum=130),
            Rule(column="wind_speed", minimum=0, maximum=200),
            Rule(column="humidity", minimum=0, maximum=100),
        ),
    ),
    Source(
        name="aircraft",
        reader=f"{HERE}.sources:read_aircraft",
        table=AIRCRAFT,
        rules=(Rule(column="seats", minimum=1, maximum=900),),
        # The oldest aircraft of the register was built in 1956.
        earliest=dt.date(1920, 1, 1),
    ),
)


def _history(name: str, comment: str, keys: tuple[str, ...], kinds: tuple[str, ...]) -> Table:
    return _table(
        Layer.FEATURES,
        name,
        comment,
        (
            *(key(k, kind) for k, kind in zip(keys, kinds, strict=True)),
            key("known_at", "timestamp"),
            column("flights_1d", "bigint"),
            column("late_rate_1d", "double"),
            column("mean_delay_1d", "double"),
            column("flights_28d", "bigint"),
            column("late_rate_28d", "double"),
            column("mean_delay_28d", "double"),
        ),
        keys,
        "known_at",
    )


CARRIER_HISTORY = _history("carrier_history", "landed flights of a carrier", ("carrier",), ("string",))
ROUTE_HISTORY = _history("route_history", "landed flights of a route", ("origin", "destination"), ("string", "string"))
AIRPORT_HOUR_HISTORY = _history(
    "airport_hour_history",
    "landed flights by airport and local hour of departure",
    ("origin", "departure_hour"),
    ("string", "int"),
)
TAIL_HISTORY = _table(
    Layer.FEATURES,
    "tail_history",
    "landed flights of one aircraft",
    (
        key("tailnum"),
        key("known_at", "timestamp"),
        column("last_arrival_delay", "double"),
        column("flights_7d", "bigint"),
        column("mean_delay_7d", "double"),
    ),
    ("tailnum",),
    "known_at",
)
WEATHER_FEATURES = _table(
    Layer.FEATURES,
    "weather",
    "the last published observation of an airport",
    (
        key("origin"),
        key("known_at", "timestamp"),
        column("temperature", "double"),
        column("humidity", "double"),
        column("wind_speed", "double"),
        column("precipitation", "double"),
        column("pressure", "double"),
        column("visibility", "double"),
    ),
    ("origin",),
    "known_at",
)
AIRCRAFT_FEATURES = _table(
    Layer.FEATURES,
    "aircraft",
    "what is known of an aircraft",
    (
        key("tailnum"),
        key("known_at", "timestamp"),
        column("built", "double"),
        column("seats", "double"),
        column("manufacturer", "string"),
    ),
    ("tailnum",),
    "known_at",
)
LABELS = FeatureTable(
    table=_table(
        Layer.FEATURES,
        "labels",
        "late arrivals, once known; no label for cancelled and diverted flights",
        (key("request_key"), key("known_at", "timestamp"), key("outcome"), column("label", "double")),
        ("request_key",),
        "known_at",
    ),
    builder=f"{HERE}.features:labels",
    source=REPORTS,
    memory_days=0,
)
FEATURES = (
    FeatureTable(table=CARRIER_HISTORY, builder=f"{HERE}.features:carrier_history", source=ARRIVALS, memory_days=28),
    FeatureTable(table=ROUTE_HISTORY, builder=f"{HERE}.features:route_history", source=ARRIVALS, memory_days=28),
    FeatureTable(
        table=AIRPORT_HOUR_HISTORY, builder=f"{HERE}.features:airport_hour_history", source=ARRIVALS, memory_days=28
    ),
    FeatureTable(table=TAIL_HISTORY, builder=f"{HERE}.features:tail_history", source=ARRIVALS, memory_days=7),
    FeatureTable(table=WEATHER_FEATURES, builder=f"{HERE}.features:weather", source=WEATHER, memory_days=0),
    FeatureTable(table=AIRCRAFT_FEATURES, builder=f"{HERE}.features:aircraft", source=AIRCRAFT, memory_days=0),
)
