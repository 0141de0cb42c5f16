"""Writes small deliveries of the flight-delay feeds: real headers, and rows that differ from a good one."""

import csv
from pathlib import Path

from pipelines.demo import flights as packaged_flights
from pipelines.use_cases.flight_delay import sources

FLIGHT = {
    "year": "2013", "month": "1", "day": "10", "dep_time": "905", "sched_dep_time": "900", "dep_delay": "5",
    "arr_time": "1215", "sched_arr_time": "1200", "arr_delay": "15", "carrier": "UA", "flight": "100",
    "tailnum": "N100", "origin": "EWR", "dest": "ORD", "air_time": "120", "distance": "719", "hour": "9",
    "minute": "0", "time_hour": "2013-01-10T14:00:00Z",
}  # fmt: skip
OBSERVATION = {
    "origin": "EWR", "year": "2013", "month": "1", "day": "10", "hour": "9", "temp": "40", "dewp": "30",
    "humid": "60", "wind_dir": "270", "wind_speed": "10", "wind_gust": "NA", "precip": "0", "pressure": "1012",
    "visib": "10", "time_hour": "2013-01-10T14:00:00Z",
}  # fmt: skip
AIRCRAFT = {
    "tailnum": "N100", "year": "2001", "type": "Fixed wing multi engine", "manufacturer": "BOEING", "model": "737-800",
    "engines": "2", "seats": "149", "speed": "NA", "engine": "Turbo-fan",
}  # fmt: skip
AIRPORT = {
    "faa": "ORD", "name": "Chicago Ohare Intl", "lat": "41.97", "lon": "-87.9", "alt": "668", "tz": "-6", "dst": "A",
    "tzone": "America/Chicago",
}  # fmt: skip
HEADERS = {
    "flights.csv": (packaged_flights.FLIGHT_COLUMNS, FLIGHT),
    "weather.csv": (sources.WEATHER_COLUMNS, OBSERVATION),
    "planes.csv": (sources.AIRCRAFT_COLUMNS, AIRCRAFT),
    "airports.csv": (packaged_flights.AIRPORT_COLUMNS, AIRPORT),
}


def write(folder: Path, name: str, *changes: dict[str, str]) -> Path:
    """Write one file whose rows are the good row, changed as each argument says."""
    columns, good = HEADERS[name]
    with (folder / name).open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows({**good, **change} for change in changes)
    return folder


def write_all(folder: Path, *flights: dict[str, str]) -> Path:
    """Write all four files: these flights, and one row of each other kind."""
    write(folder, "flights.csv", *flights)
    for name in ("weather.csv", "planes.csv", "airports.csv"):
        write(folder, name, {})
    return folder
