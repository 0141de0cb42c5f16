"""The pure room: training, evaluation, gate, profiles, drift, monitoring.

Pure functions and plain records over numpy, pandas, scipy and scikit-learn. Nothing in this room touches Spark,
MLflow, files, the clock or environment variables; callers pass in the data and the time.
"""
