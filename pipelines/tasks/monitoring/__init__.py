"""Watch a model in use: metrics, drift, findings, estimates without labels, skew, the decision to retrain."""
