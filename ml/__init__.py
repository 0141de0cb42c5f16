"""What the numbers mean: training, evaluation, gate, profiles, drift, monitoring, report.

Pure functions and plain records over numpy, pandas, scipy and scikit-learn. Nothing in this room touches Spark,
MLflow, files, the clock or environment variables; whoever calls it brings the data and the time.
"""
