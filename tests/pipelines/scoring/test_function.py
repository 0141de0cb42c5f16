"""The scoring function gives the same answer to a request however it is called: with all feature rows, or with the store's."""

import datetime as dt
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pandas as pd
import psycopg
import pyarrow as pa
import pytest
from sklearn.linear_model import LinearRegression

from ml.models.prediction import predict
from ml.spec.costs import ClassCosts
from ml.spec.estimator import Problem
from ml.spec.target import MultiClass
from pipelines.declarations.online_store import store_address
from pipelines.lakehouse.registry.storing import served_signature
from pipelines.online.publishing import publish
from pipelines.scoring.function import InputsError, with_scores
from pipelines.scoring.online import OnlineFeatures, StoreError, empty_features
from tests.pipelines.online_store import empty_store, started
from tests.pipelines.scoring.declared_trips import (
    FUNCTION,
    HOUR,
    LINES,
    NOON,
    PLACES,
    feature_rows,
    fitted,
    newest_of,
    requests,
)  # fmt: skip


@pytest.fixture(scope="module")
def model() -> Any:
    """A fitted model."""
    return fitted()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The connection string of an online store."""
    yield from started(tmp_path_factory.mktemp("store"))


def test_requests_in_time_order_get_from_the_store_what_batch_gives_them(store: str, model: Any) -> None:
    """Row for row, bit for bit: equal instants, waits, look-backs, missing features and keys, unknown entities and categories."""
    chance = random.Random(7)
    asked = requests(24, chance)
    tables = {lookup.table: feature_rows(lookup, chance, hours=6) for lookup in FUNCTION.lookups}
    batch = FUNCTION.answer(asked, list(tables.values()), model, version=3)
    online, alone = [], OnlineFeatures(FUNCTION, store)
    with empty_store(store, "trips_features") as connection:
        for place in range(asked.num_rows):
            one = asked.slice(place, 1)
            until = one.column("asked_at")[0].as_py()
            for lookup in FUNCTION.lookups:
                rows = type(
                    "Rows", (), {"newest": lambda _, *given, of=lookup: newest_of(tables[of.table], of, *given)}
                )()
                publish(connection, lookup, rows, changes={"a": NOON}, until=until)
            online.append(FUNCTION.answer(one, alone.newest(one), model, version=3))
    alone.close()
    assert pa.concat_tables(online).equals(batch.combine_chunks())
    # What the test is about is in it.
    ages, lines = batch.column("places_age_hours"), batch.column("lines_age_hours")
    assert 0 < ages.null_count < asked.num_rows
    assert 0 < lines.null_count < asked.num_rows
    instants = set(asked.column("asked_at").to_pylist())
    assert instants & set(tables[LINES.table].column("known_at").to_pylist())
    assert instants & {at + HOUR / 2 for at in tables[PLACES.table].column("known_at").to_pylist()}
    assert instants & {at + 6 * HOUR for at in tables[PLACES.table].column("known_at").to_pylist()}


def test_published_tables_are_asked_for_by_their_own_names_over_the_connection_of_the_version(
    store: str, model: Any
) -> None:
    """The same rows under the names of the platform give the same answers; a version without that way says what to do."""
    asked, opened = requests(12, random.Random(5)), list[str]()
    tables = {lookup.table: feature_rows(lookup, random.Random(5), hours=6) for lookup in FUNCTION.lookups}

    def connect(address: str) -> Any:
        opened.append(address)
        return psycopg.connect(store, autocommit=True)

    with empty_store(store, "trips_features") as connection:
        for lookup in FUNCTION.lookups:
            rows = type("Rows", (), {"newest": lambda _, *given, of=lookup: newest_of(tables[of.table], of, *given)})()
            publish(connection, lookup, rows, changes={"a": NOON}, until=max(asked.column("asked_at").to_pylist()))
        plain = FUNCTION.answer(asked, OnlineFeatures(FUNCTION, store).newest(asked), model, version=3)
        for lookup in FUNCTION.lookups:
            schema, name = lookup.table.split(".")
            connection.execute(f'ALTER TABLE "{schema}"."{name}" RENAME TO "{name}_online"')
        address = store_address("prod")
        found = OnlineFeatures(replace(FUNCTION, connect=connect), address)
        assert FUNCTION.answer(asked, found.newest(asked), model, version=3).equals(plain)
        assert opened == ["lakebase:online-features/prod"]
        found.close()
    assert plain.column("places_age_hours").null_count < asked.num_rows
    with pytest.raises(StoreError, match="registered before its use case declared `online`: train it again"):
        OnlineFeatures(FUNCTION, address).newest(asked)


def test_many_requests_are_looked_up_in_one_statement_as_each_alone(store: str, model: Any) -> None:
    """Their order stays; an entity that several ask for is found for each."""
    chance = random.Random(3)
    asked = requests(30, chance).set_column(
        1, FUNCTION.schema().field(1), pa.array([NOON + 9 * HOUR] * 30, FUNCTION.schema()[1].type)
    )
    with empty_store(store, "trips_features") as connection:
        for lookup in FUNCTION.lookups:
            stored = feature_rows(lookup, chance, hours=6)
            rows = type("Rows", (), {"newest": lambda _, *given, of=lookup, at=stored: newest_of(at, of, *given)})()
            publish(connection, lookup, rows, changes={"a": NOON}, until=NOON + 9 * HOUR)
        features = OnlineFeatures(FUNCTION, store)
        together = FUNCTION.answer(asked, features.newest(asked), model, version=1)
        each = [asked.slice(place, 1) for place in range(30)]
        apart = pa.concat_tables([FUNCTION.answer(one, features.newest(one), model, version=1) for one in each])
        features.close()
    assert together.combine_chunks().equals(apart.combine_chunks())


def test_a_row_that_the_store_has_from_after_the_request_does_not_count(model: Any) -> None:
    """The newest row of the store may be newer than a request that comes late: it is unknown to it."""
    asked = requests(1, random.Random(1)).set_column(2, "origin", pa.array(["a"]))
    late = {"place": ["a"], "known_at": [NOON], "mean": [1.0], "kind": ["a"]}
    features = empty_features(FUNCTION)
    features[0] = pa.table(late, schema=features[0].schema)
    answer = FUNCTION.answer(asked, features, model, version=None).to_pylist()[0]
    assert (answer["places_age_hours"], answer["place_mean"], answer["model_version"]) == (None, None, None)


def test_what_a_request_gives_itself_is_taken_instead_of_what_is_looked_up(model: Any) -> None:
    """The age of the row that was found stays what it is."""
    asked = requests(1, random.Random(1)).set_column(2, "origin", pa.array(["a"]))
    features = empty_features(FUNCTION)
    known = {"place": ["a"], "known_at": [NOON - 2 * HOUR], "mean": [1.0], "kind": ["a"]}
    features[0] = pa.table(known, schema=features[0].schema)
    answer = FUNCTION.answer(
        asked.append_column("place_mean", pa.array([7.0])), features, model, version=1
    ).to_pylist()[0]
    assert (answer["place_mean"], answer["place_kind"], answer["places_age_hours"]) == (7.0, "a", 2.0)


def test_an_answer_has_score_decision_version_and_the_ages_of_the_features(model: Any) -> None:
    """The score is the model's own for these inputs."""
    asked = requests(9, random.Random(2))
    rows = FUNCTION.answer(asked, empty_features(FUNCTION), model, version=5)
    assert tuple(rows.column_names[:8]) == FUNCTION.answer_columns == (
        "request_key", "prediction_at", "score", "decision", "decision_threshold", "model_version", "places_age_hours",
        "lines_age_hours",
    )  # fmt: skip
    expected = predict(model, rows.select(list(FUNCTION.inputs)).to_pandas(), problem=FUNCTION.problem)
    assert rows.column("score").to_pylist() == expected.tolist()
    assert rows.column("decision").to_pylist() == [score >= 0.5 for score in expected]


def test_an_answer_of_several_classes_has_the_class_that_costs_least_to_decide_for() -> None:
    """One request at a time as all at once; as a text, without a threshold, and not always the most probable class."""
    classes = MultiClass(classes=("near", "far", "away"))
    amounts = {
        "near": {"far": 1.0, "away": 1.0}, "far": {"near": 2.0, "away": 1.0}, "away": {"near": 9.0, "far": 7.0, "away": 1.0},
    }  # fmt: skip
    function = replace(FUNCTION, problem=classes, costs=ClassCosts(amounts=amounts))
    model, asked = fitted(problem=classes), requests(60, random.Random(2))
    features = [feature_rows(lookup, random.Random(3), hours=6) for lookup in function.lookups]
    together = function.answer(asked, features, model, version=5)
    apart = [function.answer(asked.slice(place, 1), features, model, version=5) for place in range(60)]
    assert pa.concat_tables(apart).combine_chunks().equals(together.combine_chunks())
    rows = together.to_pylist()
    for row in rows:
        expected = {
            one: sum(row[f"score_of_{true}"] * amounts[true].get(one, 0.0) for true in amounts) for one in amounts
        }
        assert row["decision"] == min(expected, key=lambda one: expected[one])
    assert {(row["decision"] == row["predicted_class"]) for row in rows} == {True, False}
    assert "decision_threshold" not in together.column_names
    kinds = {output.name: output.type.name for output in served_signature(function).outputs}
    assert (kinds["decision"], kinds["predicted_class"], kinds["score_of_far"]) == ("string", "string", "double")
    assert {o.name: o.type.name for o in served_signature(FUNCTION).outputs}["decision"] == "boolean"
    none = function.answer(asked.slice(0, 0), features, model, version=5)
    assert (none.num_rows, none.schema) == (0, together.schema)


def test_inputs_of_a_row_do_not_depend_on_the_rows_beside_it() -> None:
    """A gap makes no integer of another row a float: `people` is a whole number in every batch."""
    asked = requests(12, random.Random(4))
    joined = FUNCTION.look_up(asked, empty_features(FUNCTION))
    together = FUNCTION.with_inputs(joined)
    apart = pa.concat_tables([FUNCTION.with_inputs(joined.slice(place, 1)) for place in range(12)])
    assert together.combine_chunks().equals(apart.combine_chunks())
    assert set(together.column("line").to_pylist()) <= {"1", "2", None}


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda rows: rows.head(1), "returned 1 rows for 3"),
        (lambda _: 7, "returned 7 for 3"),
        (lambda rows: rows, "make no hour, alone"),
        (lambda rows: rows["no_such"], "fails: .*no_such"),
        (lambda rows: with_text(rows), "inputs_builder of trips"),
        (
            lambda rows: pd.concat([rows.assign(hour=1, alone=1), rows[["origin"]]], axis=1),
            "made origin more than once",
        ),
    ],
)
def test_a_builder_that_breaks_its_word_is_named(build: Any, said: str) -> None:
    """What it returned, for how many rows, or what it lacks."""
    joined = FUNCTION.look_up(requests(3, random.Random(4)), empty_features(FUNCTION))
    with pytest.raises(InputsError, match=said):
        replace(FUNCTION, build=build).with_inputs(joined)


def with_text(rows: pd.DataFrame) -> pd.DataFrame:
    """Inputs of which a number is a text."""
    return rows.assign(hour="noon", alone=1.0)


def test_a_store_that_lacks_a_table_or_is_gone_is_said(store: str) -> None:
    """A request is not answered with features left out."""
    asked = requests(1, random.Random(1))
    with empty_store(store, "trips_features"), pytest.raises(StoreError, match=r"lacks a table .*: publish it"):
        OnlineFeatures(FUNCTION, store).newest(asked)
    with pytest.raises(StoreError, match="does not answer"):
        OnlineFeatures(FUNCTION, "host=/nowhere user=store").newest(asked)


def test_instants_are_those_of_greenwich_whatever_zone_a_request_is_in(model: Any) -> None:
    """The hour of a request is an hour of UTC."""
    zone = dt.timezone(dt.timedelta(hours=-5))
    asked = pa.Table.from_pylist(
        [{"trip": "t", "asked_at": dt.datetime(2013, 2, 1, 20, tzinfo=zone)}], schema=FUNCTION.schema()
    )
    assert FUNCTION.answer(asked, empty_features(FUNCTION), model, version=1).to_pylist()[0]["hour"] == 1.0


def test_an_earlier_version_scores_rows_with_an_input_that_was_declared_later() -> None:
    """By its own inputs: a new input must not stop the champion of yesterday."""
    rows = pd.DataFrame({"miles": [1.0, 2.0, 3.0], "fare": [2.0, 4.0, 6.5], "new": [7.0, 8.0, 9.0]})
    before = LinearRegression().fit(rows[["miles", "fare"]], [1.0, 2.0, 3.0])
    scored = with_scores(
        pa.Table.from_pandas(rows), before, inputs=["miles", "fare", "new"], problem=Problem.REGRESSION
    )
    assert scored["score"].to_pylist() == before.predict(rows[["miles", "fare"]]).tolist()
