"""Figures of a model version: ROC curve, calibration and importance of the inputs.

Each function returns a matplotlib `Figure`, made without pyplot, so nothing is global and no display is needed; the
caller writes it where it belongs.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ml.metrics.quality_metrics import Ranking, calibration_curve, roc_auc_score
from ml.models.importance import InputImportance
from ml.spec.target import MultiClass, Target

Floats = NDArray[np.float64]

CURVE_POINTS = 2_000
"""A curve is thinned to so many points; more cannot be seen."""
MOST_INPUTS = 20
"""Inputs shown in the figure of importances."""
_GREY = "#9a9a9a"


def model_figures(labels: Floats, scores: Mapping[str, Floats], problem: Target) -> Mapping[str, Figure]:
    """Return the figures that models of a problem are shown by, each under its name.

    Parameters
    ----------
    labels
        Shape ``(rows,)``.
    scores
        Name of each model to its scores, shape ``(rows,)``; of several classes ``(rows, classes)``, and each class is a
        curve of its own.
    """
    if isinstance(problem, MultiClass):
        curves = {
            f"{model}, {name}": ((labels == place).astype(np.float64), values[:, place])
            for model, values in scores.items()
            for place, name in enumerate(problem.classes)
        }
    else:
        curves = {model: (labels, values) for model, values in scores.items()}
    figures = {"calibration": _calibration_figure(curves)}
    return {"roc": _roc_figure(curves), **figures} if problem.classes else figures


def roc_figure(labels: Floats, scores: Mapping[str, Floats]) -> Figure:
    """Draw the ROC curve of each model on the same rows.

    Parameters
    ----------
    labels
        Shape ``(rows,)``, of both classes.
    scores
        Name of each model to its scores, shape ``(rows,)``.

    Raises
    ------
    ml.metrics.quality_metrics.MetricError
        If the labels are of one class.
    """
    return _roc_figure({name: (labels, values) for name, values in scores.items()})


def _roc_figure(curves: Mapping[str, Ranking]) -> Figure:
    figure, axes = _square("false positive rate", "true positive rate")
    axes.plot([0, 1], [0, 1], color=_GREY, linewidth=1, linestyle="--")
    for name, (labels, values) in curves.items():
        auc = roc_auc_score(labels, values)
        axes.plot(*roc_curve(labels, values), linewidth=1.8, label=f"{name}: {auc:.3f}")
    axes.legend(title="ROC AUC", loc="lower right", frameon=False)
    return figure


def calibration_figure(labels: Floats, scores: Mapping[str, Floats]) -> Figure:
    """Draw mean label over mean score, in ten bins of equal count, of each model on the same rows."""
    return _calibration_figure({name: (labels, values) for name, values in scores.items()})


def _calibration_figure(curves: Mapping[str, Ranking]) -> Figure:
    figure, axes = _square("predicted", "observed")
    found = {name: calibration_curve(labels, values) for name, (labels, values) in curves.items()}
    ends = [edge(c[i]) for c in found.values() for i in (0, 1) for edge in (np.min, np.max)]
    span = [min(0.0, *ends), max(ends)]
    axes.plot(span, span, color=_GREY, linewidth=1, linestyle="--")
    for name, (predicted, observed, _) in found.items():
        axes.plot(predicted, observed, marker="o", markersize=4, linewidth=1.5, label=name)
    axes.legend(loc="upper left", frameon=False)
    return figure


def importance_figure(importance: Sequence[InputImportance], metric_name: str) -> Figure:
    """Draw how much the metric gets worse when each input is shuffled, the most important on top; bars of two standard errors.

    Parameters
    ----------
    importance
        As `ml.models.importance.permutation_importance` returns it.
    """
    shown = importance[:MOST_INPUTS][::-1]
    figure = Figure(figsize=(7, 1.2 + 0.28 * len(shown)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    reaches = [2 * (one.standard_error or 0.0) for one in shown]
    values = [one.importance for one in shown]
    axes.barh([one.input for one in shown], values, xerr=reaches, color="#33658a", ecolor=_GREY)
    axes.axvline(0, color=_GREY, linewidth=1)
    axes.set_xlabel(f"how much worse {metric_name} gets when shuffled")
    _plain(axes)
    return figure


def roc_curve(labels: Floats, scores: Floats) -> tuple[Floats, Floats]:
    """Return false and true positive rates at every distinct score, thinned to `CURVE_POINTS`."""
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    true = np.cumsum(labels[order])[ends]
    false = ends + 1 - true
    rates = np.concatenate([[0.0], false / false[-1]]), np.concatenate([[0.0], true / true[-1]])
    kept = np.unique(np.linspace(0, rates[0].size - 1, CURVE_POINTS).astype(np.intp))
    return rates[0][kept], rates[1][kept]


def _square(horizontal: str, vertical: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.5, 5.5))
    FigureCanvasAgg(figure)
    # Ticks are short here, so that the margins need no layout of their own, which takes as long as the drawing.
    axes = figure.add_axes((0.13, 0.1, 0.84, 0.87))
    axes.set_xlabel(horizontal)
    axes.set_ylabel(vertical)
    _plain(axes)
    return figure, axes


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
