"""The gate of one look: a challenger that is looked at again and again must not pass by chance in the end.

Each stage spends the level of the use case's gate once. Its k-th look tests at the level divided by k(k + 1); these add up to
the level over any number of looks, so by the union bound a challenger that is no better leaves a stage with at most that
probability, whatever the looks have in common, and becomes champion with at most that of the last stage. A look at which the
gate had too few rows or days to decide spends nothing: no p-value was seen.
"""

from dataclasses import replace

from ml.spec.gate_policy import GatePolicy


def policy_of_look(policy: GatePolicy, look: int) -> GatePolicy:
    """Return the gate of a look.

    Parameters
    ----------
    look
        1 for the first look of a stage at which the gate can decide.
    """
    if look < 1:
        raise ValueError(f"looks are counted from 1, and this is {look}.")
    share = look * (look + 1)
    if policy.alpha is not None:
        return replace(policy, alpha=policy.alpha / share)
    return replace(policy, minimum_win_share=1 - (1 - (policy.minimum_win_share or 0.0)) / share)
