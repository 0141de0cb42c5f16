"""The dated price table: one row for each price, with where it was read and when. A price that is not there is unknown."""

import datetime as dt
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, ValidationError, model_validator

from infra.config.network import StrictSettings
from pipelines.declarations.mistakes import DeclarationError

FILE = Path("prices", "prices.yaml")
"""Below the folder of the settings."""
LIST_PRICES = Path(__file__).with_name("list_prices.yaml")
"""What ships with the product, apart from a company's own prices, so that no release writes into these."""
HOURS = 730.0
"""Of a month in the mean: 365 days of 24 hours, a twelfth of them."""


class Unit(StrEnum):
    """What is counted of a part of the cost."""

    HOUR = "hour"
    GIGABYTE = "gigabyte"


class Per(StrEnum):
    """What a price is of."""

    HOUR = "hour"
    MONTH = "month"
    GIGABYTE = "gigabyte"


class Price(StrictSettings):
    """What one unit costs."""

    key: Annotated[str, Field(min_length=1, description="What is priced, as `infra cost` names it.")]
    price: float = Field(ge=0)
    per: Per = Field(
        description="Its unit. A price of a month is that of all its hours; of a part that depends on use alone, its whole cost."
    )
    region: str | None = Field(
        default=None, pattern=r"^[a-z][a-z0-9]+$", description="Of which Azure region it is; shown beside it."
    )
    source: str = Field(pattern=r"^https://\S+$", description="Where it was read.")
    date: dt.date = Field(description="When it was read.")

    @property
    def unit(self) -> Unit:
        """In what a part is counted that has this price."""
        return Unit.GIGABYTE if self.per is Per.GIGABYTE else Unit.HOUR

    @property
    def of_unit(self) -> float:
        """The price of one of these units."""
        return self.price / HOURS if self.per is Per.MONTH else self.price

    @property
    def text(self) -> str:
        """The price for people."""
        return f"{self.price:g} per {self.per}" + (f" in {self.region}" if self.region else "")


class PriceTable(StrictSettings):
    """All prices, in one currency."""

    currency: str = Field(pattern="^[A-Z]{3}$")
    prices: tuple[Price, ...]

    @model_validator(mode="after")
    def _each_once(self) -> "PriceTable":
        keys = [price.key for price in self.prices]
        if twice := sorted({key for key in keys if keys.count(key) > 1}):
            raise ValueError(f"prices name {', '.join(twice)} twice: keep the newest row of each")
        return self

    def find(self, key: str) -> Price | None:
        """Return the price of a part; None if it is unknown."""
        return next((price for price in self.prices if price.key == key), None)


def read_prices(folder: Path) -> PriceTable:
    """Return the price table of a folder of settings, with the shipped list prices for the keys that it lacks.

    Without a file there are the list prices alone; with one in another currency, its own alone.

    Raises
    ------
    DeclarationError
        Naming every mistake of the file.
    """
    shipped, own = _read(LIST_PRICES), read_own_prices(folder)
    if own is None:
        return shipped
    further = (
        [price for price in shipped.prices if own.find(price.key) is None] if own.currency == shipped.currency else []
    )
    return own.model_copy(update={"prices": (*own.prices, *further)})


def read_own_prices(folder: Path) -> PriceTable | None:
    """Return the company's own prices of a folder of settings; None where it states none.

    Raises
    ------
    DeclarationError
        Naming every mistake of the file.
    """
    file = folder / FILE
    return _read(file) if file.exists() else None


def _read(file: Path) -> PriceTable:
    try:
        return PriceTable.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except ValidationError as error:
        mistakes = [f"{'.'.join(map(str, one['loc'])) or 'the file'}: {one['msg']}" for one in error.errors()]
        raise DeclarationError("\n".join(f"{file}: {mistake}." for mistake in mistakes)) from error
    except yaml.YAMLError as error:
        raise DeclarationError(f"{file} is no YAML: {error}.") from error
