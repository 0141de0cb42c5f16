"""The words of the report: numbers, months and metrics, and the sentences about the effect of retraining.

Every sentence follows from the outcomes that are given.
"""

import datetime as dt
from collections.abc import Sequence

from ml.metrics.metric_labels import metric_label
from ml.spec.costs import COST_PER_REQUEST
from ml.spec.metric_names import higher_is_better
from pipelines.report.comparison import Judgement, MonthOutcome, mean_difference
from pipelines.report.records import ReportRecords

NOTHING = "\u2013"
MINUS = "\u2212"
CAUSES = {"metric_fell": "a metric fell", "drift": "columns drifted"}
OF_THE_LABEL = frozenset({"mean_absolute_error", "median_absolute_error", "root_mean_squared_error", "bias_error"})
"""Errors of a regression that have the unit of its label."""


def in_unit(name: str, records: ReportRecords) -> str:
    """Return the unit of a metric, as in " in minutes", or an empty text for one that has none."""
    if name == COST_PER_REQUEST:
        unit = records.costs.unit if records.costs else ""
    else:
        same = name == records.policy.metric or {name, records.policy.metric} <= OF_THE_LABEL
        unit = records.unit if same else ""
    return f" in {unit}" if unit else ""


def in_label_unit(records: ReportRecords) -> str:
    """Return the unit of a regression's label, as " in minutes"; an empty text for another label, or where none is known."""
    return f" in {records.unit}" if records.unit and records.policy.metric in OF_THE_LABEL else ""


def share(value: float) -> str:
    """Return a share in percent with as many decimals as it needs, four significant digits at most."""
    return f"{100 * value:.4g}%"


def words(name: str) -> str:
    """Return an identifier as words."""
    return name.replace("_", " ")


def sentence(text: str) -> str:
    """Return a text with its first letter as a capital."""
    return text[:1].upper() + text[1:]


def cause(name: str) -> str:
    """Return a cause of retraining as the end of a sentence that begins with "because" or "although"."""
    return CAUSES.get(name, f"of {words(name)}")


def month_label(instant: dt.datetime) -> str:
    """Return a month, for example ``Apr 2013``."""
    return f"{instant:%b %Y}"


def window_label(instant: dt.datetime, length: str) -> str:
    """Return a window: a month as ``Apr 2013``, a week or a day by its first day, ``1 Apr 2013``."""
    return month_label(instant) if length == "month" else f"{instant:%-d %b %Y}"


def whole(value: float | None) -> str:
    """Return a count with separators between thousands."""
    return NOTHING if value is None else f"{value:,.0f}"


def fixed(value: float | None, digits: int = 3) -> str:
    """Return a number with so many decimals."""
    return NOTHING if value is None else f"{value:.{digits}f}"


def signed(value: float | None, digits: int = 3) -> str:
    """Return a difference with its sign, the minus as a minus."""
    return NOTHING if value is None else f"{value:+.{digits}f}".replace("-", MINUS)


def percent(value: float | None, digits: int = 1) -> str:
    """Return a share in percent."""
    return NOTHING if value is None else f"{value:.{digits}%}"


def plain(value: float | None) -> str:
    """Return a number of unknown size: whole ones as counts, others with four significant digits."""
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.4g}"


def duration(seconds: float | None) -> str:
    """Return seconds, or minutes and seconds from two minutes on."""
    if seconds is None:
        return NOTHING
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds // 60:.0f} min {seconds % 60:.0f} s"


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def enumerated(words: Sequence[str]) -> str:
    """Return words as a sentence lists them."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def months(starts: Sequence[dt.datetime]) -> str:
    """Return months as a sentence lists them, with their year only where it differs."""
    form = "%B" if len({start.year for start in starts}) == 1 else "%B %Y"
    return enumerated([start.strftime(form) for start in starts])


def retraining_sentences(outcomes: Sequence[MonthOutcome], metric_name: str, *, share: float = 1.0) -> tuple[str, ...]:
    """Return sentences about whether retraining helped, month by month and on average, and on which share of the requests."""
    compared = [o for o in outcomes if o.difference is not None]
    same = [o for o in outcomes if o.judgement is Judgement.SAME_MODEL]
    if not compared:
        only = "The champion was never replaced" if same else "No month has labels for both models"
        return (f"{only}, so the value of retraining cannot be stated.",)
    name = metric_label(metric_name)
    said = [_mean_sentence(compared, name), *_by_judgement(compared)]
    if not higher_is_better(metric_name):
        said.append(f"A lower {name} is better; differences are counted so that positive means better.")
    if same:
        said.append(f"In {_months(same)} the champion was still the first model, so there is no difference to measure.")
    if share < 1:
        said.append(f"All of this is measured on {share:.2%} of the requests, drawn by their keys.")
    return tuple(said)


def _mean_sentence(compared: Sequence[MonthOutcome], name: str) -> str:
    mean = mean_difference(compared)
    assert mean is not None  # noqa: S101 - there are months with a difference
    if mean.low > 0:
        verdict = "Retraining helped on average"
    elif mean.high < 0:
        verdict = "Retraining made the model worse on average"
    else:
        verdict = "On average, the effect of retraining is within chance"
    return (
        f"{verdict}: over the {counted(mean.months, 'month')} in which a retrained model was live, the mean difference in "
        f"{name} from the model that was never retrained is {signed(mean.value, 4)} "
        f"(95% interval {signed(mean.low, 4)} to {signed(mean.high, 4)})."
    )


def _by_judgement(compared: Sequence[MonthOutcome]) -> list[str]:
    by = {judgement: [o for o in compared if o.judgement is judgement] for judgement in Judgement}
    said = []
    if by[Judgement.BETTER]:
        said.append(f"It helped, beyond chance, in {_months(by[Judgement.BETTER])}.")
    if by[Judgement.WITHIN_CHANCE]:
        said.append(f"No effect was shown in {_months(by[Judgement.WITHIN_CHANCE])}: the difference is within chance.")
    if by[Judgement.WORSE]:
        said.append(
            f"In {_months(by[Judgement.WORSE])} the retrained model was worse than the first one, beyond chance."
        )
    return said


def _months(outcomes: Sequence[MonthOutcome]) -> str:
    return months([outcome.month for outcome in outcomes])
