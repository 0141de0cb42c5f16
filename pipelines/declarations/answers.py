"""The inference table of a use case's endpoint: what was asked and answered in real time, a row for each request, once.

It is apart from the predictions of batch, which count a request once; an endpoint may be asked the same twice.
"""

from dataclasses import replace

from pipelines.declarations.asset import Table, column, key
from pipelines.declarations.use_case import UseCase

ANSWER_ID, ANSWERED_AT, REQUEST, AGES = "answer_id", "answered_at", "request", "feature_ages"
NOT_MADE = ("alias", "scored_at", "batch_id", "features_version", "hindsight")
"""Columns of predictions that say how a batch made them."""


def answers_table(use_case: UseCase) -> Table:
    """Return the table of what the endpoint of a use case has answered; append-only."""
    predictions = use_case.table("predictions")
    made = tuple(one for one in predictions.columns if one.name not in (*NOT_MADE, "sample_weight"))
    own = (
        key(ANSWER_ID, comment="the request's own id and the row in it"),
        key(ANSWERED_AT, "timestamp"),
        key(REQUEST, comment="as it was asked, as JSON"),
        column(AGES, "string", "hours between each feature row that was used and the prediction, as JSON"),
    )
    return replace(
        predictions,
        name="answers",
        comment="append-only: every answer of the endpoint with what made it",
        columns=(*own, *made),
        primary_key=(ANSWER_ID,),
    )
