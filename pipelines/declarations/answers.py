"""The tables of a use case's endpoint: what was asked and answered in real time, a row for each request, once.

It is apart from the predictions of batch, which count a request once; an endpoint may be asked the same twice. During a
rollout the version that does not answer a request scores it as well: that row has the answer that it is the shadow of.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pipelines.declarations.asset import Column, Layer, Table, column, key

if TYPE_CHECKING:
    from pipelines.declarations.use_case import UseCase

ANSWER_ID, ANSWERED_AT, REQUEST, AGES = "answer_id", "answered_at", "request", "feature_ages"
SHADOW_OF, ROLLOUT_ID, STAGE, SECONDS = "shadow_of", "rollout_id", "rollout_percentage", "seconds"
FAILURE_ID, FAILED_AT, MESSAGE = "failure_id", "failed_at", "message"
NOT_MADE = ("alias", "scored_at", "batch_id", "features_version", "hindsight")
"""Columns of predictions that say how a batch made them."""
_OF_ROLLOUT = (
    column(SHADOW_OF, "string", "the answer to the same request, where this one was scored and answered nobody"),
    column(ROLLOUT_ID, "string", "the rollout that went on; missing without one"),
    column(STAGE, "bigint", "percentage of the requests that its challenger answered; 0 for a shadow"),
)


def answers_table(use_case: "UseCase") -> Table:
    """Return the table of what the endpoint of a use case has answered; append-only."""
    return answers_beside(use_case.table("predictions"))


def failures_table(use_case: "UseCase") -> Table:
    """Return the table of the requests that a version could not score; append-only."""
    return failures_beside(use_case.table("predictions"))


def answers_beside(predictions: Table) -> Table:
    """Return the table of answers of the use case that has a table of predictions."""
    made = tuple(one for one in predictions.columns if one.name not in (*NOT_MADE, "sample_weight"))
    own = (
        key(ANSWER_ID, comment="the request's own id and the row in it"),
        key(ANSWERED_AT, "timestamp"),
        key(REQUEST, comment="as it was asked, as JSON"),
        column(AGES, "string", "hours between each feature row that was used and the prediction, as JSON"),
    )
    seconds = column(SECONDS, "double", "from the features to the score, of the requests that were scored together")
    return _beside(
        predictions, "answers", "append-only: every answer of the endpoint with what made it",
        (*own, *made, *_OF_ROLLOUT, seconds), ANSWER_ID,
    )  # fmt: skip


def failures_beside(predictions: Table) -> Table:
    """Return the table of failures of the use case that has a table of predictions."""
    own = (
        key(FAILURE_ID, comment="the request's own id and the row in it, and the version"),
        key(FAILED_AT, "timestamp"),
        key("model_version", "bigint"),
        column("request_key", "string", "missing where the version could not be taken at all"),
        key(MESSAGE),
    )
    return _beside(
        predictions, "failed_answers", "append-only: every request that a version of the endpoint could not score",
        (*own, *_OF_ROLLOUT), FAILURE_ID,
    )  # fmt: skip


def rollout_tables(predictions: Table) -> tuple[Table, ...]:
    """Return the tables that a use case has whose new champions take over step by step."""
    decisions = replace(
        predictions,
        layer=Layer.MONITORING,
        name="rollouts",
        comment="every decision about a challenger: go on, wait, or return",
        columns=(
            key("run_id"),
            key("decided_at", "timestamp"),
            key(ROLLOUT_ID),
            key("model_version", "bigint", "the challenger"),
            key("champion", "bigint"),
            key("percentage", "bigint", "of requests that the challenger answered when it was judged"),
            key("move", comment="advance, wait or return"),
            key("following", "bigint", "the percentage after the decision"),
            column("look", "bigint", "which look of the gate in this stage; missing where it could not decide"),
            key("sentence"),
            key("reasons", comment="as JSON"),
            column("evaluation", "string", "what the gate judged, as JSON"),
        ),
        primary_key=("run_id",),
    )
    return answers_beside(predictions), failures_beside(predictions), decisions


def _beside(predictions: Table, name: str, comment: str, columns: Sequence[Column], row_key: str) -> Table:
    return replace(predictions, name=name, comment=comment, columns=tuple(columns), primary_key=(row_key,))
