"""The record of a review as JSON: whole, for a program that decides, counts or keeps it."""

import dataclasses
import datetime as dt
import json
from typing import Any

from pydantic import BaseModel

from infra.review.record import ReviewRecord

FORMAT = 1
"""The version of the form; a field that is added does not change it."""


def as_json(record: ReviewRecord) -> str:
    """Return the record, with its severity and the reasons for it.

    Returns
    -------
    str
        Keys are sorted as the record has them; a range is a list of two numbers, what is not known is null.
    """
    whole = {
        "format": FORMAT,
        "severity": record.severity,
        "reasons": [{"severity": severity, "reason": reason} for severity, reason in record.reasons],
        "data_at_risk": record.data_at_risk,
        **{field.name: getattr(record, field.name) for field in dataclasses.fields(record)},
    }
    return json.dumps(whole, indent=1, default=_plain, ensure_ascii=False) + "\n"


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, dt.date):
        return value.isoformat()
    raise TypeError(f"{type(value)} has no form in JSON.")
