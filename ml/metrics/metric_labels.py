"""The names of metrics and statistics as people write them."""

from itertools import groupby

from ml.spec.costs import COST_PER_REQUEST
from ml.spec.metric_names import METRIC_NAMES

NAMES = {
    "roc_auc_score": "ROC AUC", "macro_roc_auc_score": "ROC AUC over classes", "r2_score": "R²", "js_distance": "Jensen-Shannon distance",
    COST_PER_REQUEST: "cost per request",
}  # fmt: skip
"""The names that are more than their words."""
_KNOWN = frozenset(name for names in METRIC_NAMES.values() for name in names) | NAMES.keys()
_OF_CLASS = {("roc_auc_of_", "_score"): "ROC AUC", ("calibration_of_", "_error"): "calibration error"}
"""How the name of a metric of one class begins and ends."""


def metric_label(name: str) -> str:
    """Return a metric's or statistic's name as people write it."""
    return _of_class(name) or NAMES.get(name, name.removesuffix("_score").replace("_", " "))


def readable(text: object) -> str:
    """Return a recorded sentence with each metric's name as people write it; names of columns and files stay."""
    words = ("".join(run) for _, run in groupby(str(text), key=_is_of_a_name))
    return "".join(metric_label(word) if word in _KNOWN or _of_class(word) else word for word in words).replace(
        " -> ", " → "
    )


def _of_class(name: str) -> str:
    """Return the label of a metric of one class; empty for another name."""
    for (start, end), label in _OF_CLASS.items():
        given = name.removeprefix(start).removesuffix(end)
        if given and name == f"{start}{given}{end}":
            return f"{label} of {given.replace('_', ' ')}"
    return ""


def _is_of_a_name(sign: str) -> bool:
    return sign.isalnum() or sign == "_"
