"""The gate of one look: a challenger that is looked at again and again must not pass by chance in the end.

Each stage spends the level of the use case's gate once. Its k-th look tests at the level divided by k(k + 1); these add up to
the level over any number of looks, so by the union bound a challenger that is no better leaves a stage with at most that
probability, whatever the looks have in common, and becomes champion with at most that of the last stage. A look at which the
gate had too few rows or days to decide spends nothing: no p-value was seen.

The same holds for what returns a challenger. Its guards are tested at each look as well, and one of many looks finds a fault by
chance; so a fault returns a challenger at the level of the look only. At the whole level it keeps it from going on.
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
    share = _looks_share(look)
    if policy.alpha is not None:
        return replace(policy, alpha=policy.alpha / share)
    return replace(policy, minimum_win_share=1 - (1 - (policy.minimum_win_share or 0.0)) / share)


def policy_of_faults(policy: GatePolicy, look: int) -> GatePolicy:
    """Return the gate of a look whose guards show a fault only at the level of the look.

    Over all looks of a stage a challenger that is worse by less than a guard tolerates is returned by that guard with at most
    the guard's level, by the same bound as that of `policy_of_look`.
    """
    share = _looks_share(look)
    return replace(
        policy_of_look(policy, look),
        guard_alpha=policy.guard_alpha / share,
        slice_alpha=policy.slice_alpha / share,
        small_slice_alpha=policy.small_slice_alpha / share,
    )


def policy_turned(policy: GatePolicy, look: int) -> GatePolicy:
    """Return the gate of a look with the roles exchanged, which asks whether the champion is better by more than is accepted.

    A gate that accepts a candidate that is worse by less than a margin must not take one for worse that is: the champion has
    to be shown better by more than this margin.
    """
    return replace(policy_of_look(policy, look), margin=max(0.0, -policy.margin))


def _looks_share(look: int) -> int:
    """Return by how much the level of a look is divided."""
    if look < 1:
        raise ValueError(f"looks are counted from 1, and this is {look}.")
    return look * (look + 1)
