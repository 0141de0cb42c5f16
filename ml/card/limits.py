"""The limits of what is known of a version, each a sentence that follows from the records."""

from collections.abc import Iterator

from ml.card.facts import CardFacts
from ml.card.slices import judged_slices, small_slices
from ml.card.texts import instant
from ml.labels.maturity import LabelCounts
from ml.spec.clusters import EntityKind


def limits(facts: CardFacts) -> Iterator[str]:
    """Yield what the figures of a card do not say."""
    evaluation = facts.evaluation
    if evaluation.window_start is None:
        yield "Nothing was evaluated."
    else:
        yield (
            f"The metrics are of requests from {instant(evaluation.window_start)} to {instant(evaluation.window_end)} "
            f"in {facts.environment!r}; of other times and seasons nothing was measured."
        )
    if evaluation.sample_share is not None:
        yield f"Only a sample of {evaluation.sample_share:.2%} of the rows was evaluated."
    if evaluation.metric_bound is not None:
        yield f"{evaluation.metric} is computed from summaries of the rows and at most {evaluation.metric_bound:.2g} from exact."
    if evaluation.champion is None:
        yield "There was no champion: the version was compared with a constant prediction only."
    yield from _left_out("training", facts.training_labels)
    yield from _left_out("evaluation", evaluation.label_counts)
    yield from _entities(facts)
    if evaluation.champion is not None:
        apart = [one for one in small_slices(facts) if not one.pooled]
        if apart:
            named = ", ".join(f"{one.slice_key} = {one.slice_value}" for one in apart)
            yield f"{len(apart)} of {len(judged_slices(facts)) + len(apart)} slices were not judged: {named}."
    if not evaluation.complete:
        yield f"The evaluation is incomplete: {'; '.join(evaluation.incomplete_because)}."
    if facts.importances is None:
        yield "It is not recorded on which inputs the version relies."
    if facts.parameters is None:
        yield "The run that trained the version is not reachable from here: its parameters and figures are there."


def _left_out(part: str, counts: LabelCounts | None) -> Iterator[str]:
    if counts is None:
        yield f"How many requests of the {part} window were left out is not recorded here."
        return
    left = counts.requests - counts.deciding
    if left:
        share = left / counts.requests
        yield f"{left:,} requests of the {part} window ({share:.1%}) have no label that counts: nothing is known of them."
    if counts.assumed:
        yield f"{counts.assumed:,} labels of the {part} window are assumed, because no outcome had come when it was due."


def _entities(facts: CardFacts) -> Iterator[str]:
    for counted in facts.evaluation.entities:
        if counted.kind is EntityKind.FIXED:
            yield (
                f"The verdict is about the {counted.entities:,} values of {counted.column} that were seen; of others "
                "nothing was measured."
            )
