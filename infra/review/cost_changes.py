"""What a change does to the cost of a month: before and after by environment, and the quantities that differ."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from infra.config.prices import PriceTable
from infra.description.cost import UNKNOWN, CostPart, MonthlyCost, between, months

Quantity = tuple[float, float]
"""At least and at most, in a month."""


@dataclass(frozen=True, kw_only=True)
class QuantityChange:
    """The quantity of one key of the price table that differs.

    Attributes
    ----------
    unit
        What is counted.
    before, after
        None where there is none of it.
    priced
        Whether the price table has its price.
    """

    key: str
    unit: str
    before: Quantity | None
    after: Quantity | None
    priced: bool

    @property
    def sentence(self) -> str:
        """The change for people."""
        was, stands = ("none" if one is None else between(*one) for one in (self.before, self.after))
        return f"{self.key}: {was} → {stands} {self.unit}s{'' if self.priced else ', price unknown'}"


@dataclass(frozen=True, kw_only=True)
class CostChange:
    """What one environment costs before and after, both by the price table of after.

    Attributes
    ----------
    before, after
        None where nobody can say: the commit that is compared with does not state its parts, or there is no environment.
    """

    environment: str
    currency: str
    before: MonthlyCost | None
    after: MonthlyCost | None
    quantities: tuple[QuantityChange, ...]

    @property
    def rises(self) -> bool:
        """Whether it may cost more than before, as far as that is known: a bound rises, or a quantity without a price does."""
        if self.before is None or self.after is None:
            return False
        known = self.after.least > self.before.least or self.after.most > self.before.most
        return known or any(_more(one) for one in self.quantities if not one.priced)

    @property
    def texts(self) -> tuple[str, str]:
        """Before and after for people."""
        return _text(self.before, self.currency), _text(self.after, self.currency)


def cost_changes(
    before: Sequence[CostPart] | None, after: Sequence[CostPart], prices: PriceTable
) -> tuple[CostChange, ...]:
    """Return every environment with its cost; nothing is left out because it stays the same.

    Parameters
    ----------
    before
        None if the commit that is compared with does not state its parts.
    """
    old, new = months(before or (), prices), months(after, prices)
    return tuple(
        CostChange(
            environment=name,
            currency=prices.currency,
            before=old.get(name),
            after=new.get(name),
            quantities=()
            if before is None
            else tuple(_quantities(_by_key(before, name), _by_key(after, name), prices)),
        )
        for name in dict.fromkeys((*new, *old))
    )


def _by_key(parts: Sequence[CostPart], environment: str) -> dict[tuple[str, str], Quantity]:
    found: dict[tuple[str, str], Quantity] = {}
    for part in parts:
        if part.environment == environment and part.key and part.least is not None and part.most is not None:
            least, most = found.get((part.key, part.unit), (0.0, 0.0))
            found[part.key, part.unit] = least + part.least, most + part.most
    return found


def _quantities(
    old: Mapping[tuple[str, str], Quantity], new: Mapping[tuple[str, str], Quantity], prices: PriceTable
) -> Iterator[QuantityChange]:
    for key, unit in sorted({*old, *new}):
        was, stands = old.get((key, unit)), new.get((key, unit))
        if was != stands:
            priced = prices.find(key) is not None
            yield QuantityChange(key=key, unit=unit, before=was, after=stands, priced=priced)


def _more(change: QuantityChange) -> bool:
    was, stands = change.before or (0.0, 0.0), change.after or (0.0, 0.0)
    return stands[0] > was[0] or stands[1] > was[1]


def _text(cost: MonthlyCost | None, currency: str) -> str:
    if cost is None:
        return UNKNOWN
    unknown = f" and {len(cost.unknown)} unknown parts" if cost.unknown else ""
    return f"{currency} {between(cost.least, cost.most)}{unknown}"
