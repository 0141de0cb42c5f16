"""Serves the pages of the local environments, together with MLflow's own, to one user of this machine."""
