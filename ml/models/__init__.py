"""Encoding inputs, fitting an estimator, predicting with it, the importance of its inputs."""
