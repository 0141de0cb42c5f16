"""Metrics and statistics have the names that people write; what is no metric stays as it is."""

import pytest

from ml.metrics.metric_labels import metric_label, readable
from ml.spec.metric_names import METRIC_NAMES


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("roc_auc_score", "ROC AUC"),
        ("rank_correlation_score", "rank correlation"),
        ("roc_auc_of_very_late_score", "ROC AUC of very late"),
        ("calibration_of_late_error", "calibration error of late"),
        ("js_distance", "Jensen-Shannon distance"),
    ],
)
def test_a_metric_is_called_as_people_write_it(name: str, label: str) -> None:
    """In a sentence as well."""
    assert metric_label(name) == label
    assert readable(f"{name} of tail_history -> 0.5") == f"{label} of tail_history → 0.5"


def test_no_metric_has_a_name_with_underscores() -> None:
    """Of any kind of target."""
    assert not [name for names in METRIC_NAMES.values() for name in names if "_" in metric_label(name)]
