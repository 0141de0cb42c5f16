"""The allowed settings of an environment's telemetry: what is sent to Azure Monitor each day at most, and how it gets there."""

from pydantic import Field

from infra.config.network import StrictSettings


class TelemetrySettings(StrictSettings):
    """Application Insights of the environment, with its alert rules and its workbook; absent where jobs send nothing there."""

    daily_gigabytes: float = Field(
        gt=0, le=100, description="What is accepted in a day at most; beyond it, nothing is kept until the next day."
    )
    private_link: bool = Field(
        default=True,
        description="Whether the private link scope is here; false where the hub has one, to which its owner adds the component.",
    )
