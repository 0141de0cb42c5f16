"""Builds estimators that are named by configuration: any class with scikit-learn's interface, by its dotted path."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from sklearn.base import clone
from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter

from ml.spec.entries import load
from ml.spec.errors import DeclarationError, LakehouseError
from ml.spec.estimator import Calibration, EstimatorSpec
from ml.spec.near_miss import did_you_mean
from ml.spec.target import Target

SHOWN = 40
"""So many names of parameters fit into a sentence."""


class TrainingError(LakehouseError, ValueError):
    """Rows or a specification that do not allow training; the message names what, where and the remedy."""


def build(spec: EstimatorSpec, *, problem: Target, seed: int) -> Any:
    """Return the unfitted estimator that a specification names.

    Parameters
    ----------
    seed
        Becomes ``random_state`` where the class takes one and the specification does not set it.

    Raises
    ------
    TrainingError
        If the class does not exist, has no such parameter, or does not fit the problem.
    """
    where = f"estimator {spec.name!r}"
    constructor = _load(spec.estimator, where)
    allowed = _constructor_parameters(constructor)
    if allowed is None:
        allowed = _further_parameters(constructor)
    unknown = [name for name in spec.parameters if allowed is not None and name not in allowed]
    if allowed is not None and unknown:
        near = " and ".join(_near(name, allowed) for name in unknown)
        takes = ", ".join(allowed[:SHOWN]) + (f" and {len(allowed) - SHOWN} more" if len(allowed) > SHOWN else "")
        raise TrainingError(f"{where}: {spec.estimator} takes no parameter {near}. It takes: {takes}.")
    parameters = dict(spec.parameters)
    if allowed is not None and "random_state" in allowed:
        parameters.setdefault("random_state", seed)
    try:
        estimator = constructor(**parameters)
    except (TypeError, ValueError) as error:
        raise TrainingError(f"{where}: {spec.estimator} refused its parameters {parameters}: {error}") from error
    _check_interface(spec, estimator, problem, where)
    return estimator


def require_sound(spec: EstimatorSpec, estimator: Any) -> None:
    """Raise if a constructed estimator would refuse its parameters later, when it is fitted or copied.

    Raises
    ------
    TrainingError
        If a value is none that the class takes, or its constructor changes its parameters, so that no copy is equal.
    """
    where = f"estimator {spec.name!r}"
    validate = getattr(estimator, "_validate_params", None)  # scikit-learn's own, which fit calls first
    try:
        if validate is not None:
            validate()
        clone(estimator)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TrainingError(f"{where}: {' '.join(str(error).split())}") from error


def require_weights(spec: EstimatorSpec, estimator: Any) -> None:
    """Raise if an estimator cannot be fitted with weights.

    Raises
    ------
    TrainingError
        If its ``fit`` takes no ``sample_weight``.
    """
    if not has_fit_parameter(estimator, "sample_weight"):
        raise TrainingError(
            f"estimator {spec.name!r}: the use case declares a weight, and fit of {spec.estimator} takes no sample_weight: "
            "name another class, or let yours take it."
        )


def accepts(estimator: Any) -> tuple[bool, bool]:
    """Return whether an estimator allows missing values and sparse matrices; one without tags allows neither."""
    try:
        tags = get_tags(estimator).input_tags
    except (AttributeError, TypeError):
        return False, False
    return bool(tags.allow_nan), bool(tags.sparse)


def _load(path: str, where: str) -> Callable[..., Any]:
    try:
        found = load(path)
    except (DeclarationError, ImportError) as error:
        raise TrainingError(f"{where}: {error}") from error
    if inspect.isclass(found) and hasattr(found, "fit") and hasattr(found, "get_params"):
        return found
    raise TrainingError(
        f"{where}: {path} is not a class with fit and get_params: give the dotted path of an estimator."
    )


def _constructor_parameters(constructor: Callable[..., Any]) -> list[str] | None:
    """Return the keywords of the constructor, or None if it accepts any."""
    parameters = inspect.signature(constructor).parameters.values()
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return [parameter.name for parameter in parameters]


def _further_parameters(constructor: Callable[..., Any]) -> list[str] | None:
    """Return the keywords of a constructor that passes some on to a library; None if nobody says which.

    LightGBM takes any keyword, and only warns of a misspelt one while it trains.
    """
    if constructor.__module__.partition(".")[0] != "lightgbm":
        return None
    own = [name for name, one in inspect.signature(constructor).parameters.items() if one.kind is not one.VAR_KEYWORD]
    try:
        aliases = load("lightgbm.basic:_ConfigAliases")._get_all_param_aliases()  # noqa: SLF001 -- no public name lists them
    except (AttributeError, DeclarationError):
        return None
    return list(dict.fromkeys([*own, *aliases, *(alias for names in aliases.values() for alias in names)]))


def _check_interface(spec: EstimatorSpec, estimator: Any, problem: Target, where: str) -> None:
    calibrates = spec.calibration is not Calibration.NONE
    if not problem.classes:
        if calibrates:
            raise TrainingError(f"{where}: calibration={spec.calibration.value!r} makes probabilities: leave it out.")
        wanted, usable = "predict", not hasattr(estimator, "predict_proba") and hasattr(estimator, "predict")
    elif calibrates:
        wanted = "predict_proba or decision_function"
        usable = hasattr(estimator, "predict_proba") or hasattr(estimator, "decision_function")
    else:
        wanted, usable = "predict_proba", hasattr(estimator, "predict_proba")
    if not usable:
        hint = " or state a calibration" if hasattr(estimator, "decision_function") and not calibrates else ""
        raise TrainingError(
            f"{where}: {spec.estimator} does not fit a {problem} problem, which needs {wanted}: "
            f"name another class{hint}."
        )


def _near(name: str, allowed: Sequence[str]) -> str:
    near = did_you_mean(name, allowed)
    return f"{name!r} ({near})" if near else repr(name)
