"""How urgent an alert is, and where its cause lies."""

from enum import StrEnum


class CauseArea(StrEnum):
    """Where the cause of an alert lies."""

    DATA = "data"
    MODEL = "model"
    PLATFORM = "platform"


class Severity(StrEnum):
    """When somebody must act."""

    NOW = "now"
    TODAY = "today"
    THIS_WEEK = "this week"
