"""The real-time endpoint of a use case: MLflow's scoring protocol over the scoring function, the online store and a journal."""
