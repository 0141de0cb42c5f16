"""Make, judge and move model versions: training, evaluation, promotion, rollback, delivery, serving."""
