"""The job that measures predictions, looks for drift, and starts a retraining if the findings call for one."""

from typing import TYPE_CHECKING

from pipelines.declarations.job import After, ConditionTask, Job, Operator, RunJobTask, Schedule, Task
from pipelines.declarations.standard_jobs.parameters import CAUSE, MONITORED_SINCE, UNTIL

if TYPE_CHECKING:
    from pipelines.declarations.use_case import UseCase


def monitoring_job(use_case: "UseCase", training: Job, delivery: Job | None) -> Job:
    """Return the job that measures, decides on a retraining and starts it.

    Parameters
    ----------
    training
        The job that a finding starts.
    delivery
        The job that it starts in environments that receive the model; None if there are none.
    """
    predictions, labels = use_case.table("predictions"), use_case.labels.table
    measure = Task(
        key="measure",
        entry="pipelines.tasks.monitoring.measurement:measure",
        description="join labels to predictions; metrics per window, model version and slice",
        parameters=(MONITORED_SINCE, UNTIL),
        reads=(predictions, labels, use_case.table("metrics")),
        writes=(use_case.table("metrics"), use_case.table("metrics_history")),
    )
    estimate = Task(
        key="estimate",
        entry="pipelines.tasks.monitoring.estimation:estimate",
        description="estimate the metrics before labels arrive, and record the realised values once they arrive",
        parameters=(MONITORED_SINCE, UNTIL),
        reads=(predictions, use_case.table("training_set"), labels, use_case.model),
        writes=(use_case.table("estimates"),),
    )
    detect_drift = Task(
        key="detect_drift",
        entry="pipelines.tasks.monitoring.drift:detect_drift",
        description="compare inputs and predictions with the champion's training profile",
        parameters=(MONITORED_SINCE, UNTIL),
        reads=(predictions, use_case.table("drift"), use_case.table("verdicts"), use_case.model),
        writes=(use_case.table("profiles"), use_case.table("drift"), use_case.table("drift_history")),
    )
    decide = _decide(use_case, measure, detect_drift)
    alarm, skew = _alarm(use_case, decide), _skew(use_case, decide)
    needed = ConditionTask(
        key="retraining_needed",
        description="did the findings ask for a retraining?",
        value=decide.value("retrain"),
        operator=Operator.EQUAL_TO,
        right="true",
        after=(decide,),
    )
    reaction = (
        (_retrain(training, decide, needed.if_true),)
        if delivery is None
        else _retrain_or_deliver(training, delivery, decide, needed.if_true)
    )
    return Job(
        use_case=use_case.name,
        name="monitoring",
        description="measure the predictions whose labels have arrived, look for drift, decide on retraining",
        schedule=Schedule(cron="0 0 6 * * ?"),
        tasks=(measure, estimate, detect_drift, decide, alarm, skew, needed, *reaction),
    )


def _decide(use_case: "UseCase", measure: Task, detect_drift: Task) -> Task:
    findings, retrainings = use_case.table("findings"), use_case.table("retrainings")
    return Task(
        key="decide",
        entry="pipelines.tasks.monitoring.retraining:decide",
        description="turn measurements into findings and findings into a decision on retraining",
        parameters=(MONITORED_SINCE, UNTIL),
        after=(measure, detect_drift),
        reads=(
            use_case.table("metrics"),
            use_case.table("profiles"),
            use_case.table("predictions"),
            use_case.spine.table,
            use_case.table("runs"),
            use_case.table("evaluations"),
            use_case.table("verdicts"),
            use_case.table("training_set"),
            findings,
            retrainings,
            use_case.model,
        ),
        # The last two where it finishes a promotion that was cut off.
        writes=(
            findings,
            use_case.table("findings_history"),
            retrainings,
            use_case.table("model_cards"),
            use_case.model,
        ),
    )


def _alarm(use_case: "UseCase", decide: Task) -> Task:
    """Return the daily alarm, after the decision: both write findings, and the decision does not wait for it."""
    findings = use_case.table("findings")
    return Task(
        key="alarm",
        entry="pipelines.tasks.monitoring.daily_alarm:alarm",
        description="report what changed suddenly yesterday, and sources and labels that stopped",
        parameters=(MONITORED_SINCE, UNTIL),
        after=(decide,),
        reads=(
            use_case.table("predictions"),
            use_case.table("ingests"),
            *(source.table for source in use_case.sources),
            use_case.labels.table,
            *(shared.table for shared in use_case.shared_features),
            findings,
            use_case.table("alarm_days"),
            use_case.table("verdicts"),
            use_case.model,
        ),
        writes=(findings, use_case.table("findings_history"), use_case.table("alarm_days")),
    )


def _skew(use_case: "UseCase", decide: Task) -> Task:
    """Return the comparison of scoring with training; nothing is compared until a training set is new."""
    findings, skew = use_case.table("findings"), use_case.table("skew")
    return Task(
        key="skew",
        entry="pipelines.tasks.monitoring.skew:skew",
        description="compare the inputs of requests that were scored and then trained on, for each new training set",
        parameters=(UNTIL,),
        after=(decide,),
        reads=(
            use_case.table("predictions"),
            use_case.table("training_set"),
            use_case.spine.table,
            *use_case.feature_tables,
            findings,
            skew,
        ),
        writes=(findings, use_case.table("findings_history"), skew),
    )


def _retrain(training: Job, decide: Task, after: After) -> RunJobTask:
    return RunJobTask(
        key="retrain",
        description="run the training job, with the finding as its cause",
        job=training,
        parameters={UNTIL.name: UNTIL, CAUSE.name: decide.value("cause")},
        after=(after,),
    )


def _retrain_or_deliver(
    training: Job, delivery: Job, decide: Task, after: After
) -> tuple[ConditionTask, RunJobTask, RunJobTask]:
    """Return what a finding leads to where some environments receive their model: one job or the other."""
    trained_here = ConditionTask(
        key="trained_here",
        description="does this environment train its own model?",
        value=decide.value("trained_here"),
        operator=Operator.EQUAL_TO,
        right="true",
        after=(after,),
    )
    deliver = RunJobTask(
        key="deliver",
        description="run the delivery job: is the champion of the environment before this one better here?",
        job=delivery,
        parameters={UNTIL.name: UNTIL},
        after=(trained_here.if_false,),
    )
    return trained_here, _retrain(training, decide, trained_here.if_true), deliver
