"""A body is read in each of MLflow's forms; one that cannot be answered says what is wrong, where, and what is allowed."""

import datetime as dt
import json
from typing import Any

import pyarrow as pa
import pytest

from pipelines.scoring.protocol import BadRequestError, answer_body, asked_rows
from tests.pipelines.scoring.declared_trips import FUNCTION

ROW = {"trip": "t1", "asked_at": "2013-02-01T12:00:00Z", "origin": "a", "line": 2}


def read(stated: Any) -> pa.Table:
    """The rows of a body."""
    return asked_rows(json.dumps(stated).encode(), FUNCTION, most_rows=3)


@pytest.mark.parametrize(
    "stated",
    [
        {"dataframe_split": {"columns": list(ROW), "data": [list(ROW.values())]}},
        {"dataframe_records": [ROW]},
        {"instances": [ROW]},
        {"inputs": [ROW]},
        {"inputs": {name: [value] for name, value in ROW.items()}},
    ],
)
def test_every_form_gives_the_same_typed_rows(stated: Any) -> None:
    """A column that may be missing and is not given is missing."""
    asked = {**ROW, "asked_at": dt.datetime(2013, 2, 1, 12, tzinfo=dt.UTC), "people": None}
    assert read(stated).to_pylist() == [asked]
    assert read(stated).schema.types == FUNCTION.schema().types


def test_instants_without_a_zone_are_of_utc_and_looked_up_columns_may_be_given() -> None:
    """Whole floats are whole numbers, as data frames with gaps write them."""
    stated = {**ROW, "asked_at": "2013-02-01T07:00:00-05:00", "line": 2.0, "place_mean": 1, "hours_since_place": None}
    (row,) = read({"dataframe_records": [stated]}).to_pylist()
    assert row["asked_at"] == dt.datetime(2013, 2, 1, 12, tzinfo=dt.UTC)
    assert (row["line"], row["place_mean"], row["hours_since_place"]) == (2, 1.0, None)
    (row,) = read({"dataframe_records": [{**ROW, "asked_at": "2013-02-01T12:00:00"}]}).to_pylist()
    assert row["asked_at"] == dt.datetime(2013, 2, 1, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({}, r"the body has none of the forms; give one of dataframe_split, dataframe_records, instances, inputs\."),
        ({"inputs": [ROW], "instances": [ROW]}, "the body has instances and inputs; give one of"),
        ([ROW], "none of the forms"),
        ({"inputs": [1, 2]}, "inputs holds no records; give a list of objects"),
        ({"inputs": {"trip": ["a"], "asked_at": []}}, "the columns of inputs have 0, 1 values"),
        ({"dataframe_split": {"columns": ["trip"]}}, "dataframe_split needs columns and data"),
        ({"dataframe_split": {"columns": ["trip"], "data": [["a"], []]}}, "row 1 of dataframe_split has not the 1 values"),
        ({"instances": []}, "asks for no row; give at least one"),
        ({"instances": [ROW] * 4}, "asks for 4 rows; give at most 3 at once"),
        ({"instances": [{**ROW, "origins": "a"}]}, "column 'origins' is unknown: did you mean 'origin'?"),
        ({"instances": [{"asked_at": ROW["asked_at"]}]}, "column 'trip' is missing; give a text in each row"),
        ({"instances": [ROW, {**ROW, "trip": None}]}, "row 1: 'trip' is missing; give a text"),
        ({"instances": [{**ROW, "trip": 7}]}, "row 0: 'trip' is 7; give a text"),
        ({"instances": [{**ROW, "line": 2.5}]}, "row 0: 'line' is 2.5; give a whole number"),
        ({"instances": [{**ROW, "line": True}]}, "row 0: 'line' is true; give a whole number"),
        ({"instances": [{**ROW, "line": 2**40}]}, "column 'line' holds a number that no int can"),
        ({"instances": [{**ROW, "place_mean": "much"}]}, "row 0: 'place_mean' is \"much\"; give a finite number"),
        ({"instances": [{**ROW, "asked_at": "noon"}]}, "row 0: 'asked_at' is \"noon\"; give an instant as 2013-02-19T08:00:00Z"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_what_is_allowed(stated: Any, said: str) -> None:
    """One sentence for each mistake."""
    with pytest.raises(BadRequestError, match=said.replace("?", r"\?")):
        read(stated)


def test_all_mistakes_are_said_at_once_and_no_more_than_can_be_read() -> None:
    """The first ten, and how many more."""
    broken = {**ROW, "line": "x", "people": "y", "trip": 1}
    with pytest.raises(BadRequestError) as caught:
        read({"instances": [broken] * 3})
    assert str(caught.value).count("row ") == 9
    with pytest.raises(BadRequestError, match=r"And 1 more\.$"):
        read({"instances": [{**broken, "origin": 1, "place_kind": 2}, broken, broken]})


def test_a_body_that_is_no_json_is_refused() -> None:
    """With the place."""
    with pytest.raises(BadRequestError, match="the body is not JSON"):
        asked_rows(b"{", FUNCTION, most_rows=3)


def test_an_answer_is_written_in_json_that_every_parser_takes() -> None:
    """Numbers that are none are null, instants are ISO."""
    at = dt.datetime(2013, 2, 1, 12, tzinfo=dt.UTC)
    body = answer_body(
        pa.table({"prediction_at": [at], "score": [float("nan")], "age": pa.array([None], pa.float64())})
    )
    assert json.loads(body) == {"predictions": [{"prediction_at": at.isoformat(), "score": None, "age": None}]}
