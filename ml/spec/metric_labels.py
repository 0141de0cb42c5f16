"""The names of metrics and statistics as people write them; imports the standard library only."""

import re

from ml.spec.costs import COST_PER_REQUEST
from ml.spec.metric_names import METRIC_NAMES

NAMES = {
    "roc_auc_score": "ROC AUC", "macro_roc_auc_score": "ROC AUC over classes", "r2_score": "R²", "js_distance": "Jensen-Shannon distance",
    COST_PER_REQUEST: "cost per request",
}  # fmt: skip
"""The names that are more than their words."""
_KNOWN = frozenset(name for names in METRIC_NAMES.values() for name in names) | NAMES.keys()
_IDENTIFIER = re.compile(r"\b[a-z0-9]+(?:_[a-z0-9]+)+\b")
_OF_CLASS = re.compile(r"(?:roc_auc_of_(?P<auc>\w+)_score|calibration_of_(?P<calibration>\w+)_error)")


def metric_label(name: str) -> str:
    """Return a metric's or statistic's name as people write it."""
    of_class = _OF_CLASS.fullmatch(name)
    if of_class and of_class["auc"]:
        return f"ROC AUC of {of_class['auc'].replace('_', ' ')}"
    if of_class:
        return f"calibration error of {of_class['calibration'].replace('_', ' ')}"
    return NAMES.get(name, name.removesuffix("_score").replace("_", " "))


def readable(text: object) -> str:
    """Return a recorded sentence with each metric's name as people write it; names of columns and files stay."""
    return _IDENTIFIER.sub(lambda found: _readable(found[0]), str(text)).replace(" -> ", " → ")


def _readable(name: str) -> str:
    return metric_label(name) if name in _KNOWN or _OF_CLASS.fullmatch(name) else name
