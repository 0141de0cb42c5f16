"""A contract separates the rows of a delivery that fulfil it from those that break it."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.sources.contract import check
from pipelines.sources.deliveries import changes
from pipelines.sources.files import SourceError
from tests.pipelines.sources.trips import GOOD, SOURCE, delivery, reasons


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"fare": "-1"}, "fare: -1.0 is below 0"),
        ({"fare": "101"}, "fare: 101.0 is above 100"),
        ({"at": None}, "at: is missing and required"),
        ({"trip": None}, "trip: is missing and required"),
        ({"trip": "z"}, "trip: 'z' is none of a, b, c"),
    ],
)
def test_each_breach_has_its_reason(change: dict[str, object], reason: str) -> None:
    """The sentence has the column, the value and what was expected."""
    assert reasons(change) == [reason]


def test_missing_values_are_allowed_where_the_table_allows_them() -> None:
    """A row with empty nullable columns is kept."""
    assert check(delivery({"fare": None, "seats": None}), SOURCE).kept.num_rows == 1


def test_of_two_rows_with_one_key_the_first_is_kept() -> None:
    """The second is quarantined; the reason is its key."""
    checked = check(delivery({}, {"fare": "1"}), SOURCE)
    assert checked.kept["fare"].to_pylist() == [12.5]
    assert checked.broken["reasons"].to_pylist() == ["duplicate key trip=a, at=2013-01-01 10:00:00+00:00"]


def test_a_broken_row_does_not_make_a_good_one_a_duplicate() -> None:
    """The key of a quarantined row does not count."""
    checked = check(delivery({"fare": "x"}, {}), SOURCE)
    assert checked.kept["fare"].to_pylist() == [12.5]


def test_missing_and_extra_columns_refuse_the_delivery_as_a_whole() -> None:
    """The error names all of them, with the nearest agreed column."""
    wrong = delivery({}).drop_columns(["fare"]).append_column("fares", pa.array(["1"]))
    with pytest.raises(
        SourceError, match=r"column 'fare' is missing; unexpected column 'fares': did you mean 'fare'\?"
    ):
        check(wrong, SOURCE)


def test_an_empty_delivery_has_no_kept_and_no_broken_rows() -> None:
    """It has the declared types nevertheless."""
    checked = check(delivery(), SOURCE)
    assert (checked.rows_read, checked.kept.num_rows, checked.broken.num_rows) == (0, 0, 0)
    assert checked.kept.schema.field("fare").type == pa.float64()


TEXTS = st.one_of(
    st.none(), st.sampled_from(["1", "-1", "1e3", "nan", "a", "b", "2013-01-01", "true", ""]), st.text(max_size=4)
)


@given(st.lists(st.fixed_dictionaries(dict.fromkeys(GOOD, TEXTS)), max_size=12))
def test_every_row_is_kept_or_quarantined_and_none_twice(rows: list[dict[str, str | None]]) -> None:
    """Rows read = rows kept + rows quarantined, for any text; checking the kept rows again keeps all of them."""
    given_rows = pa.table({name: pa.array([row[name] for row in rows], pa.string()) for name in GOOD})
    checked = check(given_rows, SOURCE)
    positions = checked.positions.to_pylist() + checked.broken["row_number"].to_pylist()
    assert sorted(positions) == list(range(len(rows)))
    again = check(checked.kept, SOURCE)
    assert again.kept.equals(checked.kept)


def test_a_repeated_row_is_kept_and_not_new_and_a_changed_row_is_quarantined() -> None:
    """The reason of the changed row is that it contradicts the earlier one."""
    before = check(delivery({}, {"trip": "b"}), SOURCE).kept
    checked = check(delivery({}, {"trip": "b", "fare": "99"}, {"trip": "c"}), SOURCE)
    found = changes(checked, before, SOURCE)
    assert found.new["trip"].to_pylist() == ["c"]
    assert found.checked.kept["trip"].to_pylist() == ["a", "c"]
    assert found.checked.broken["row_number"].to_pylist() == [1]
    assert "contradicts" in found.checked.broken["reasons"][0].as_py()


def test_every_row_of_the_first_delivery_is_new() -> None:
    """No earlier row exists to compare with."""
    checked = check(delivery({}), SOURCE)
    found = changes(checked, checked.kept.slice(0, 0), SOURCE)
    assert found.checked is checked
    assert found.new.num_rows == 1


def test_equal_rows_with_missing_values_are_repeated_rows() -> None:
    """A missing value equals a missing value here."""
    checked = check(delivery({"fare": None}), SOURCE)
    assert changes(checked, checked.kept, SOURCE).new.num_rows == 0
