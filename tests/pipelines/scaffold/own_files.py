"""Files such as teams have them, written as other programs write them and without a look at the code that reads them."""

import csv
import datetime as dt
import gzip
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

ROWS = 1_500
BEGUN = dt.datetime.fromisoformat("2024-01-02 07:00")
"""On the clock of the shop, which names no zone."""


def german_orders(folder: Path, rows: int = ROWS) -> Path:
    """Orders of a shop, from a German spreadsheet: whether something comes back, which is dated if it does."""
    drawn = np.random.default_rng(1)
    path = folder / "bestellungen.csv"
    with path.open("w", encoding="cp1252", newline="") as file:
        write = csv.writer(file, delimiter=";")
        write.writerow(
            [
                "Bestellnummer",
                "Bestellt am",
                "Kunden-Nr",
                "Größe",
                "Zahlungsart",
                "Betrag",
                "Versandkosten",
                "Retoure",
                "Retoure am",
            ]
        )
        for number in range(rows):
            ordered = BEGUN + dt.timedelta(minutes=86.4 * number)
            by_bill = drawn.random() < 0.4
            amount = float(drawn.gamma(3, 40))
            returned = drawn.random() < 0.1 + 0.3 * by_bill + 0.002 * min(amount, 150)
            back = ordered + dt.timedelta(days=float(drawn.uniform(2, 13)))
            euros = f"{amount:,.2f}".replace(",", " ").replace(".", ",").replace(" ", ".")
            write.writerow([
                7_300_000 + 3 * number, f"{ordered:%d.%m.%Y %H:%M}", f"K{drawn.integers(1, 220):05d}",
                drawn.choice(["S", "M", "L", "XL"]), "Rechnung" if by_bill else "PayPal", euros,
                "4,95" if amount < 60 else "0,00", "ja" if returned else "nein", f"{back:%d.%m.%Y %H:%M}" if returned else "",
            ])  # fmt: skip
    return path


def pump_readings(folder: Path) -> Path:
    """Readings of pumps, from a logger: tabs, milliseconds since 1970, NA where a sensor was silent, no number of a row."""
    drawn = np.random.default_rng(2)
    begun = int(dt.datetime(2025, 3, 1, tzinfo=dt.UTC).timestamp() * 1_000)
    level = drawn.normal(0, 4, 30)
    lines = ["ts\tpump_id\tpressure_bar\tflow\tstate\tconsumption_kwh"]
    for step in range(ROWS // 30):
        for pump in range(30):
            pressure, flow = drawn.normal(5, 1), drawn.normal(40, 9)
            state = drawn.choice(["auto", "manual"])
            used = 20 + level[pump] + 1.5 * pressure + 0.2 * flow + 3 * (state == "manual") + drawn.normal(0, 1)
            shown = "NA" if drawn.random() < 0.03 else f"{pressure:.2f}"
            lines.append(f"{begun + step * 43_200_000}\tP-{pump:02d}\t{shown}\t{flow:.1f}\t{state}\t{used:.2f}")
    path = folder / "pumps.tsv.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    return path


def rides(folder: Path) -> Path:
    """Rides of a taxi company, from a warehouse: Parquet with the company's zone, numbers for keys, a flag."""
    drawn = np.random.default_rng(3)
    seconds = np.sort(drawn.uniform(0, 75 * 86_400, ROWS)).astype(int)
    asked = pd.Timestamp("2023-09-01 05:00", tz="America/New_York") + pd.to_timedelta(seconds, unit="s")
    distance = drawn.gamma(2, 3, ROWS)
    waited = drawn.gamma(2, 4, ROWS)
    pd.DataFrame(
        {
            "rideId": drawn.permutation(ROWS) + 10**12,
            "requestedAt": asked,
            "driver_id": drawn.integers(1, 60, ROWS),
            "borough": drawn.choice(["Bronx", "Queens", "Manhattan"], ROWS),
            "distance_km": distance.round(2),
            "passengers": drawn.integers(1, 5, ROWS).astype("int8"),
            "finishedAt": asked + pd.to_timedelta((1_200 + 240 * distance + 60 * waited).astype(int), unit="s"),
            "late": drawn.random(ROWS) < 1 / (1 + np.exp(2 - 0.25 * distance)),
        }
    ).to_parquet(folder / "rides.parquet", index=False)
    return folder / "rides.parquet"


def tickets(folder: Path) -> Path:
    """Tickets of a help desk, with commas: how each ended, in words, and when."""
    drawn = np.random.default_rng(4)
    lines = ["ticket_id,opened_at,customer_id,channel,words,result,closed_at"]
    for number in range(ROWS):
        opened = BEGUN + dt.timedelta(minutes=70 * number)
        by_mail, words = drawn.random() < 0.5, int(drawn.gamma(3, 30))
        odds = np.array([0.2 + 0.3 * by_mail, 0.1 + 0.002 * min(words, 200), 0.6])
        ended = drawn.choice(["Refund given", "escalated!", "solved"], p=odds / odds.sum())
        closed = opened + dt.timedelta(hours=float(drawn.uniform(1, 70)))
        channel = "mail" if by_mail else "phone"
        lines.append(
            f"T{number:06d},{opened:%Y-%m-%dT%H:%M:%S}Z,C{drawn.integers(1, 90):03d},{channel},{words},{ended},"
            f"{closed:%Y-%m-%dT%H:%M:%S}Z"
        )
    path = folder / "tickets.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


FILES: Mapping[str, Callable[[Path], Path]] = {
    "retouren": german_orders, "pumping": pump_readings, "late_rides": rides, "tickets": tickets,
}  # fmt: skip
"""Name of a use case to the file that it is made of."""
