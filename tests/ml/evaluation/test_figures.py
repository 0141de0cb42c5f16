"""Figures show the numbers they are made from and keep no global state."""

import io
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.metrics import auc

from benchmarks.simulation.gate_test_sets import Setting, draw
from ml.evaluation.figures import (
    calibration_figure,
    importance_figure,
    model_figures,
    roc_curve,
    roc_figure,
)
from ml.metrics.quality_metrics import MetricError, roc_auc_score
from ml.models.importance import InputImportance
from ml.spec.estimator import Problem

DRAWN = draw(Setting(gains=(0.03,)), np.random.default_rng(1))


def png(figure: Figure) -> bytes:
    """The figure as a picture."""
    written = io.BytesIO()
    figure.savefig(written, format="png")
    return written.getvalue()


def test_the_roc_curve_is_drawn_with_its_area() -> None:
    """One line for each model; the area under it is the ROC AUC in the legend."""
    figure = roc_figure(DRAWN.labels, {"champion": DRAWN.champion, "candidate": DRAWN.candidates[0]})
    lines = figure.axes[0].get_lines()[1:]
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    for line, label, scores in zip(lines, legend, (DRAWN.champion, DRAWN.candidates[0]), strict=True):
        known = roc_auc_score(DRAWN.labels, scores)
        assert auc(*line.get_data()) == pytest.approx(known, abs=2e-3)
        assert label.endswith(f"{known:.3f}")
    assert png(figure).startswith(b"\x89PNG")


def test_tied_scores_make_one_step() -> None:
    """With all scores equal the curve is the diagonal."""
    false, true = roc_curve(np.array([0.0, 1.0, 1.0]), np.full(3, 0.5))
    assert (false.tolist(), true.tolist()) == ([0.0, 1.0], [0.0, 1.0])


def test_one_class_has_no_roc_curve() -> None:
    """The error is the metric's."""
    with pytest.raises(MetricError, match="both classes"):
        roc_figure(np.ones(3), {"one": np.array([0.1, 0.2, 0.3])})


def test_a_calibrated_model_lies_on_the_diagonal() -> None:
    """Ten points, none far from it."""
    figure = calibration_figure(DRAWN.labels, {"champion": DRAWN.champion})
    predicted, observed = figure.axes[0].get_lines()[1].get_data()
    assert len(predicted) == 10
    assert np.abs(np.asarray(predicted) - np.asarray(observed)).max() < 0.06
    assert png(figure)


def test_the_most_important_input_is_on_top() -> None:
    """At most twenty inputs are shown."""
    importance = [InputImportance(input=f"x{n}", importance=30.0 - n, standard_error=0.1) for n in range(30)]
    figure = importance_figure(importance, "roc_auc_score")
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == [f"x{n}" for n in range(19, -1, -1)]
    assert png(figure)


def test_figures_need_no_display_and_no_pyplot() -> None:
    """Importing the module does not load pyplot, which keeps every figure it makes."""
    code = "import sys, ml.evaluation.figures; print('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_model_is_shown_by_the_figures_of_its_problem() -> None:
    """A binary problem has a ROC curve; a regression has none."""
    labels = np.array([0.0, 1.0, 1.0, 0.0])
    scores = {"model": np.array([0.2, 0.7, 0.6, 0.4])}
    assert list(model_figures(labels, scores, Problem.BINARY)) == ["roc", "calibration"]
    assert list(model_figures(labels * 90, scores, Problem.REGRESSION)) == ["calibration"]
