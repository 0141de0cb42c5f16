"""Makes the model card of a version from what is recorded of it: a pure function from facts to sections.

Nothing is stated that no record has: what is unknown is said as unknown.
"""

import json
from datetime import UTC

from ml.card.decided import basis_of
from ml.card.facts import CardFacts
from ml.card.limits import limits
from ml.card.record import UNKNOWN, CardSection, CardTable, ModelCard
from ml.card.slices import slices_section
from ml.card.texts import count, deciding, instant, interval, number, p_value, span, unit_of, units_of_errors
from ml.evaluation.record import EvaluatedContender
from ml.labels.maturity import LabelCounts
from ml.spec.target import MultiClass

MODEL, DATA, LABELS, METRICS = "Model", "Data and windows", "Labels left out", "Metrics"
CALIBRATION, IMPORTANCE, VERDICT, LIMITS = "Calibration", "Importance of the inputs", "Verdict", "Limits"
CALIBRATION_ERROR = "expected_calibration_error"
OF_INTERVALS = (
    "An interval at 95% is of one figure alone, as if nothing else had been compared. The interval of a rule is as wide as the "
    "correction for all its tests makes it, and its p is corrected alike: these decided."
)
"""What a card says of its two kinds of intervals."""


def model_card(facts: CardFacts) -> ModelCard:
    """Return the card of a version. The same facts give the same card."""
    sections = (
        _model(facts), _data(facts), _labels(facts), _metrics(facts), slices_section(facts), _calibration(facts),
        _importance(facts), _verdict(facts), CardSection(heading=LIMITS, sentences=tuple(limits(facts))),
    )  # fmt: skip
    return ModelCard(
        model=facts.model,
        version=facts.version,
        environment=facts.environment,
        evaluation_id=facts.evaluation.evaluation_id,
        decided_at=facts.decided_at.astimezone(UTC).isoformat(),
        sections=sections,
    )


def _model(facts: CardFacts) -> CardSection:
    tags = facts.tags
    parameters = ", ".join(f"{name} = {value}" for name, value in sorted((facts.parameters or {}).items()))
    rows = {
        "use case": tags.get("use_case", UNKNOWN),
        "estimator": tags.get("estimator", UNKNOWN),
        "parameters": parameters or UNKNOWN,
        "trained in": tags.get("trained_in", tags.get("environment", UNKNOWN)),
        "training run": tags.get("training_set_id", UNKNOWN),
        "cause of the training": tags.get("cause", UNKNOWN),
        "commit": tags.get("git_commit", UNKNOWN),
        "copied from": tags.get("copied_from", _not_copied(facts)),
        "digest of the files": tags.get("files_sha256", UNKNOWN),
    }
    return CardSection(heading=MODEL, tables=(_pairs(rows),))


def _not_copied(facts: CardFacts) -> str:
    own = facts.tags.get("trained_in") == facts.environment
    return f"no copy: it was trained in {facts.environment}" if own else UNKNOWN


def _data(facts: CardFacts) -> CardSection:
    tags, evaluation = facts.tags, facts.evaluation
    windows = CardTable(
        caption="Requests by when their prediction was due, UTC",
        columns=("rows", "first", "last", "number of rows"),
        rows=(
            ("training", instant(tags.get("trained_from")), instant(tags.get("trained_until")),
             count(facts.training_rows)),
            ("evaluation", instant(evaluation.window_start), instant(evaluation.window_end), count(evaluation.rows)),
        ),
    )  # fmt: skip
    which = "the rarest class" if isinstance(evaluation.problem, MultiClass) else "the label 1"
    positives = [] if evaluation.positives is None else [f"{evaluation.positives:,} evaluated rows have {which}."]
    sentences = (
        *positives,
        f"Versions of the tables behind the training rows: {_table_versions(tags.get('table_versions'))}.",
    )
    return CardSection(heading=DATA, sentences=sentences, tables=(windows,))


def _table_versions(recorded: str | None) -> str:
    if not recorded:
        return UNKNOWN
    return ", ".join(f"{table} {version}" for table, version in sorted(json.loads(recorded).items()))


def _labels(facts: CardFacts) -> CardSection:
    means = (
        "is left out and counted" if facts.without_outcome is None else f"has the label {facts.without_outcome:g}"
    )  # fmt: skip
    stated = f"As declared, an outcome is due {facts.due_days:,} days after the prediction; a request that is due without an outcome {means}."
    return CardSection(
        heading=LABELS,
        sentences=(
            stated,
            f"Of the training window: {_counted(facts.training_labels)}.",
            f"Of the evaluation window: {_counted(facts.evaluation.label_counts)}.",
        ),
    )


def _counted(counts: LabelCounts | None) -> str:
    return UNKNOWN if counts is None else counts.sentence


def _metrics(facts: CardFacts) -> CardSection:
    evaluation = facts.evaluation
    measured = CardTable(
        caption="On the evaluated rows",
        columns=("metric", "value", "95% interval of this metric alone", "unit", "best constant prediction"),
        rows=tuple(
            (one.metric, number(one.value), interval(one), unit_of(one.metric, evaluation.problem),
             number(evaluation.constant.get(one.metric)))
            for one in facts.measured
        ),
    )  # fmt: skip
    compared = tuple(
        (c.metric, "the best constant" if c.against is None else f"version {c.against}", c.role, number(c.against_value),
         f"{c.difference:+.4f}", span(c.low, c.high), "no rule" if c.passed is None else deciding(c.interval),
         p_value(c.interval.p_value), c.method)
        for c in basis_of(facts).comparisons
    )  # fmt: skip
    differences = CardTable(
        caption="Compared on the same rows; positive differences mean better",
        columns=("metric", "with", "the version", "its value", "difference", "95% interval of this comparison alone",
                 "interval of the rule", "p", "method"),
        rows=compared,
    )  # fmt: skip
    failed = (f"It does not count: {failure}.",) if (failure := _contender_failure(facts)) else ()
    sentences = (*failed, f"The units of errors and intervals are {units_of_errors(evaluation)}.")
    sentences += (OF_INTERVALS,) if compared else ()
    tables = [table for table in (measured, differences) if table.rows]
    return CardSection(heading=METRICS, sentences=sentences, tables=tuple(tables))


def _contender(facts: CardFacts) -> EvaluatedContender | None:
    return next((one for one in facts.evaluation.contenders if one.version == facts.version), None)


def _contender_failure(facts: CardFacts) -> str | None:
    found = _contender(facts)
    return "it was not evaluated" if found is None else found.failure


def _calibration(facts: CardFacts) -> CardSection:
    evaluation, rows = facts.evaluation, []
    for contender in evaluation.contenders:
        role = "this version" if contender.version == facts.version else "champion"
        if contender.version in (facts.version, evaluation.champion):
            value = contender.metrics.get(CALIBRATION_ERROR)
            spread = None if value is None or not evaluation.label_spread else value / evaluation.label_spread
            rows.append((role, f"version {contender.version}", number(value), number(spread)))
    table = CardTable(
        caption="Mean distance between predicted and observed, over ten bins of equal count",
        columns=("which", "version", "expected calibration error", "in standard deviations of the label"),
        rows=tuple(rows),
    )
    judged = [r.sentence for r in facts.reasons if r.rule == "calibration" and r.candidate == facts.version]
    sentences = tuple(f"The gate: {sentence}." for sentence in judged) or ("The gate did not judge the calibration.",)
    return CardSection(heading=CALIBRATION, sentences=sentences, tables=(table,))


def _importance(facts: CardFacts) -> CardSection:
    found = facts.importances
    if found is None:
        return CardSection(heading=IMPORTANCE, sentences=(f"The importance of the inputs is {UNKNOWN}.",))
    table = CardTable(
        caption=f"How much {found.metric} gets worse when the input is shuffled, on {found.rows}",
        columns=("input", "fall", "standard error"),
        rows=tuple(
            (one.input, f"{one.importance:+.4f}", number(one.standard_error))
            for one in sorted(found.inputs, key=lambda one: -one.importance)
        ),
    )  # fmt: skip
    return CardSection(heading=IMPORTANCE, tables=(table,))


def _verdict(facts: CardFacts) -> CardSection:
    said = facts.tags.get("verdict", UNKNOWN)
    rules = CardTable(
        caption="Every rule that was applied to the evaluation and to this version",
        columns=("rule", "met", "value", "threshold", "in words"),
        rows=tuple(
            (reason.rule.replace("_", " "), "yes" if reason.passed else "no", _plain(reason.value),
             _plain(reason.threshold), reason.sentence)
            for reason in facts.reasons
            if reason.candidate in (None, facts.version)
        ),
    )  # fmt: skip
    sentences = (f"This version: {said}.", facts.sentence)
    return CardSection(heading=VERDICT, sentences=sentences, tables=(rules,))


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _pairs(rows: dict[str, str]) -> CardTable:
    return CardTable(caption="What the registry records", columns=("what", "recorded"), rows=tuple(rows.items()))
