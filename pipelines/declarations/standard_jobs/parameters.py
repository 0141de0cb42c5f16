"""The parameters of the jobs: a name means the same in all of them."""

from dataclasses import replace
from typing import TYPE_CHECKING

from pipelines.declarations.environment import ENVIRONMENTS
from pipelines.declarations.job import Kind, Parameter

if TYPE_CHECKING:
    from pipelines.declarations.use_case import UseCase

SINCE = Parameter(
    name="since", default="", kind=Kind.INSTANT, description="begin of the window, UTC; empty: where the last run ended"
)
MONITORED_SINCE = replace(SINCE, description="begin of the window, UTC; empty, or later: the month before the newest")
UNTIL = Parameter(
    name="until", default="", kind=Kind.INSTANT, description="end of the window, exclusive, UTC; empty: now"
)
LOCATION = Parameter(
    name="location",
    default="",
    description="folder of the source files, or SOURCE=FOLDER for each, with ';' between; empty: as declared",
)
SEED = Parameter(name="seed", default="20130101", kind=Kind.WHOLE, description="seed of everything random in the run")
SAMPLE = Parameter(
    name="sample", default="1.0", kind=Kind.FRACTION, description="share of the requests to train on, by request key"
)
EVALUATION_DAYS = Parameter(
    name="evaluation_days",
    default="28",
    kind=Kind.WHOLE,
    description="days kept for evaluation, the last whose outcomes are due at `until`",
)
TRAINING_DAYS = Parameter(
    name="training_days",
    default="120",
    kind=Kind.WHOLE,
    description="days trained on, the last whose outcomes were due before those",
)
CAUSE = Parameter(name="cause", default="requested", description="why the training runs; recorded with its models")
SOURCE = Parameter(
    name="source",
    default="",
    choices=("", *ENVIRONMENTS),
    description="environment whose model is copied; empty: the one this environment receives from",
)
VERSION = Parameter(name="version", default="0", kind=Kind.WHOLE, description="its version; 0: its champion")
REASON = Parameter(name="reason", default="", description="why the champion is taken back; has to be given")
STOP = Parameter(
    name="stop", default="", description="why the challenger is returned now; empty: what is known of it decides"
)
ALIAS = Parameter(name="alias", default="champion", description="alias of the model version that scores")


def declared_days(parameter: Parameter, use_case: "UseCase") -> Parameter:
    """Return `TRAINING_DAYS` or `EVALUATION_DAYS` with the default that a use case declares in the attribute of its name."""
    return replace(parameter, default=str(getattr(use_case, parameter.name)))
