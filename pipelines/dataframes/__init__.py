"""What is computed on Spark data frames: point-in-time joins, profiles, scores, rows to train on."""
