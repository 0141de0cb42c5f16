"""Every example of the guide about models declares a use case without a mistake, and what it states is there."""

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from pyspark.sql import SparkSession

from ml.metrics.decision_costs import decided
from ml.spec.errors import LakehouseError
from ml.spec.estimator import Calibration, Problem
from ml.spec.gate_policy import policy
from ml.spec.monitoring_policy import MonitoringPolicy
from pipelines.declared_code.mistakes import code_mistakes
from tests.pipelines.declarations.test_extension_points import BLOCKS as PARCELS
from tests.pipelines.declarations.test_extension_points import ENTRY

PAGE = Path(__file__).parents[3] / "docs" / "models.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.fixture(scope="module")
def names() -> Iterator[dict[str, Any]]:
    """What the examples of both pages define, run in their order."""
    module = ModuleType("parcels")
    sys.modules["parcels"] = module
    for block in [*(block for block in PARCELS if not ENTRY.match(block)), *BLOCKS]:
        exec(compile(block, "docs/models.md", "exec"), vars(module))  # noqa: S102 -- the guide's own text
    yield vars(module)
    del sys.modules["parcels"]


def test_an_example_with_weights_keeps_them_with_rows_and_predictions(
    names: dict[str, Any], embedded_spark: SparkSession
) -> None:
    """The kilograms of a parcel are a weight of their own beside the input."""
    weighted = names["WEIGHTED"]
    for table in ("training_set", "predictions"):
        assert "sample_weight" in [column.name for column in weighted.table(table).columns]
        assert "sample_weight" not in [column.name for column in names["USE_CASE"].table(table).columns]
    assert code_mistakes(weighted, embedded_spark) == []


def test_an_example_with_a_search_names_parameters_that_the_class_takes(
    names: dict[str, Any], embedded_spark: SparkSession
) -> None:
    """Each end of each range."""
    assert names["SEARCHED"].estimators[0].search.trials == 20
    assert code_mistakes(names["SEARCHED"], embedded_spark) == []


def test_an_example_with_a_calibration_lets_a_class_without_probabilities_predict_them(
    names: dict[str, Any], embedded_spark: SparkSession
) -> None:
    """Without it the class is refused."""
    calibrated = names["CALIBRATED"]
    assert code_mistakes(calibrated, embedded_spark) == []
    plain = replace(calibrated.estimators[0], calibration=Calibration.NONE)
    (mistake,) = code_mistakes(replace(calibrated, estimators=(plain,)), embedded_spark)
    assert "needs predict_proba" in mistake


def test_an_example_with_costs_decides_from_a_tenth_on(names: dict[str, Any]) -> None:
    """Its gate judges the cost of a request, and predictions have a decision."""
    priced = names["PRICED"]
    assert priced.costs.threshold == pytest.approx(0.1)
    assert priced.gate.metric == "cost_per_request_loss"
    assert {"decision", "decision_threshold"} <= {column.name for column in priced.table("predictions").columns}


def test_an_example_with_several_classes_has_a_probability_of_each(
    names: dict[str, Any], embedded_spark: SparkSession
) -> None:
    """Its gate judges every class against the rest; costs of two decisions are refused, and so is a gate that resamples."""
    declared = names["SORTED"]
    assert code_mistakes(declared, embedded_spark) == []
    columns = {column.name for column in declared.table("predictions").columns}
    assert {"predicted_class", "score_of_light", "score_of_middle", "score_of_heavy"} <= columns
    assert declared.gate.metric == "macro_roc_auc_score"
    assert declared.problem.label_of("heavy") == 2.0
    for changes, said in (
        (
            {"costs": names["PRICED"].costs},
            "costs are Costs, which a multi-class problem has not; give costs=ClassCosts(...).",
        ),
        (
            {"gate": policy("article", Problem.BINARY)},
            "may draw rows without one of the classes; give 'analytic_by_day'",
        ),
        ({"without_outcome": 3.0}, "without_outcome is 3.0; a multi-class problem has labels 0 to 2 only"),
        (
            {"monitoring": MonitoringPolicy(metrics=("roc_auc_of_heavi_score",))},
            "did you mean 'roc_auc_of_heavy_score'?",
        ),
    ):
        with pytest.raises(LakehouseError) as refused:
            replace(declared, **changes)
        assert said in str(refused.value)


def test_an_example_with_costs_between_classes_decides_for_a_class(
    names: dict[str, Any], embedded_spark: SparkSession
) -> None:
    """Its gate judges the cost of a request; the decision is a text; a light parcel must be nearly certain."""
    shipped = names["SHIPPED"]
    assert code_mistakes(shipped, embedded_spark) == []
    assert shipped.gate.metric == "cost_per_request_loss"
    kinds = {column.name: column.type for column in shipped.table("predictions").columns}
    assert kinds["decision"] == "string"
    assert "decision_threshold" not in kinds
    scores = np.array([[0.6, 0.2, 0.2], [0.85, 0.15, 0.0], [0.9, 0.05, 0.05]])
    decided_for = [shipped.problem.classes[place] for place in decided(scores, shipped.costs, shipped.problem)]
    assert decided_for == ["middle", "light", "middle"]
