"""A source with personal data never gives dev what it has; every mistake in what dev is given is one sentence."""

import datetime as dt
import re
from dataclasses import replace
from typing import Any

import pytest

from pipelines.declarations.asset import Layer, Table, column, key
from pipelines.declarations.environment_data import DataKind, EnvironmentData, Redaction, RedactionRule
from pipelines.declarations.mistakes import DeclarationError
from pipelines.declarations.source import Source
from pipelines.declarations.use_case import UseCase
from pipelines.sources.contract import check
from tests.pipelines.own_data_guide import DOCS, parcels_module

CUSTOMERS = Table(
    use_case="shop",
    layer=Layer.BRONZE,
    name="customers",
    comment="customers as registered",
    columns=(
        key("customer"), key("registered_at", "timestamp"), column("born", "date"), column("number", "int"),
        column("spent", "double"), key("town"), column("active", "boolean"),
    ),
    primary_key=("customer",),
    time_key="registered_at",
)  # fmt: skip
SOURCE = Source(name="customers", reader="shop:read", table=CUSTOMERS)
REST = ("registered_at", "number", "spent", "town", "active")


def redaction(name: str, rule: str, to: float | str | None = None) -> Redaction:
    """One rule."""
    return Redaction(column=name, rule=RedactionRule(rule), to=to)


HASHED, YEAR = redaction("customer", "hash"), redaction("born", "generalize", "year")


def redacted(*redactions: Redaction, keep: tuple[str, ...] = REST) -> EnvironmentData:
    """What dev receives, with the other columns kept."""
    return EnvironmentData(kind=DataKind.REDACTED, keep=keep, redactions=redactions)


def test_personal_data_that_dev_would_have_is_refused() -> None:
    """Declared personal and nothing said of dev, or dev said to be real."""
    for data in ({}, {"dev": EnvironmentData(kind=DataKind.REAL)}, {"staging": redacted(HASHED, YEAR)}):
        with pytest.raises(DeclarationError, match="personal columns customer, born would be in dev as they are"):
            replace(SOURCE, personal=("customer", "born"), data=data)


def test_redacted_or_synthetic_data_is_accepted_and_other_environments_are_real() -> None:
    """By environment."""
    source = replace(SOURCE, personal=("customer", "born"), data={"dev": redacted(HASHED, YEAR)})
    assert source.data_in("dev").hidden == {"customer", "born"}
    assert source.data_in("prod").kind is DataKind.REAL
    made = EnvironmentData(kind=DataKind.SYNTHETIC, generator="shop:made")
    assert replace(SOURCE, personal=("customer",), data={"dev": made}).data_in("dev").generator == "shop:made"


@pytest.mark.parametrize(
    ("personal", "data", "said"),
    [
        (("custmer",), redacted(HASHED, YEAR), "personal: unknown column 'custmer': did you mean 'customer'?"),
        (("customer",), redacted(HASHED), "nothing is said of born: name each column in keep or in redactions."),
        (("customer",), redacted(HASHED, YEAR, keep=(*REST, "born")), "declares redaction of column born more than once"),
        (("customer",), redacted(HASHED, YEAR, keep=(*REST, "borne")), "unknown column 'borne': did you mean 'born'?"),
        (("town",), redacted(HASHED, YEAR), "personal column 'town' is kept; redact it."),
        ((), redacted(redaction("registered_at", "generalize", "day"), keep=("customer", "born", *REST[1:])), "it is the time key"),
        ((), redacted(redaction("town", "drop"), keep=("customer", "born", "registered_at", "number", "spent", "active")), "it may not be missing and cannot be dropped"),
        ((), redacted(redaction("number", "hash"), keep=("customer", "born", "registered_at", "town", "spent", "active")), "a int cannot be hashed"),
        ((), redacted(redaction("customer", "generalize", 2), keep=("born", *REST)), "it is part of the key, and rows that differ would have one; hash it."),
        ((), redacted(redaction("born", "generalize", "week"), keep=("customer", *REST)), "to='week'; a date is generalized to day, month, year."),
        ((), redacted(redaction("number", "generalize", 0.5), keep=("customer", "born", "registered_at", "town", "spent", "active")), "give a whole number above 0"),
        ((), redacted(redaction("town", "generalize", -1), keep=("customer", "born", "registered_at", "number", "spent", "active")), "give the number of first characters that stay."),
        ((), redacted(redaction("active", "generalize", 1), keep=("customer", "born", "registered_at", "number", "spent", "town")), "a boolean cannot be generalized; drop or keep it."),
    ],
)  # fmt: skip
def test_each_mistake_is_one_sentence(personal: tuple[str, ...], data: EnvironmentData, said: str) -> None:
    """With the column and the remedy."""
    with pytest.raises(DeclarationError) as refused:
        replace(SOURCE, personal=personal, data={"dev": data})
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kind": DataKind.REDACTED}, "redacted data has redactions, other data neither"),
        ({"kind": DataKind.REAL, "redactions": (HASHED,)}, "redacted data has redactions, other data neither"),
        ({"kind": DataKind.SYNTHETIC}, "synthetic data needs a generator"),
        ({"kind": DataKind.REAL, "generator": "shop:made"}, "synthetic data needs a generator, other data has none"),
    ],
)
def test_a_kind_of_data_has_what_belongs_to_it(given: dict[str, Any], said: str) -> None:
    """And nothing else."""
    with pytest.raises(DeclarationError, match=said):
        EnvironmentData(**given)


def test_an_unknown_environment_and_a_rule_without_its_measure_are_refused() -> None:
    """With the near miss."""
    with pytest.raises(DeclarationError, match="unknown environment 'dv': did you mean 'dev'"):
        replace(SOURCE, data={"dv": EnvironmentData(kind=DataKind.REAL)})
    with pytest.raises(DeclarationError, match="`to` is for 'generalize', which needs it"):
        redaction("born", "generalize")
    with pytest.raises(DeclarationError, match="`to` is for 'generalize'"):
        redaction("born", "hash", 2)


def test_the_guide_declares_what_it_says() -> None:
    """Its examples go on with those of the guide on use cases; made-up rows fulfil the contract."""
    with parcels_module() as module:
        names = dict(vars(module))
        for block in re.findall(r"```python\n(.*?)```", (DOCS / "dev-data.md").read_text("utf-8"), re.DOTALL):
            exec(block, names)  # noqa: S102 - the page's own examples
        source = names["PARCELS_SOURCE"]
        assert source.data_in("dev").hidden == {"parcel", "kilograms"}
        since, until = (dt.datetime(2025, 3, day, tzinfo=dt.UTC) for day in (1, 9))
        made = check(names["made_parcels"](since, until), source)
        assert (made.kept.num_rows, made.broken.num_rows) == (8, 0)
        assert replace(source, data={"dev": names["MADE_PARCELS"]}).data_in("dev").kind is DataKind.SYNTHETIC


def test_a_column_that_one_source_hides_no_other_brings_there() -> None:
    """A hash beside the value itself hides nothing, and the keys of both do not join; in both alike it is accepted."""
    with parcels_module() as module:
        parcels: UseCase = module.USE_CASE

    def hashing(source: Source) -> Source:
        others = tuple(one.name for one in source.table.columns if one.name != "parcel")
        return replace(source, personal=("parcel",), data={"dev": redacted(redaction("parcel", "hash"), keep=others)})

    asked, delivered = parcels.sources
    said = "source deliveries would bring the column 'parcel' to dev as it is, and source parcels hides it there"
    for other in (delivered, replace(hashing(delivered), personal=(), data={})):
        with pytest.raises(DeclarationError, match=said):
            replace(parcels, sources=(hashing(asked), other))
    both = replace(parcels, sources=(hashing(asked), hashing(delivered)))
    assert [source.data_in("dev").hidden for source in both.sources] == [{"parcel"}, {"parcel"}]
