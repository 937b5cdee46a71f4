"""What a query may see: not the padding, not the future, nothing far away."""

from __future__ import annotations

from typing import Any

from keras import ops


def visible_positions(
    queries: Any, keys: Any, *, causal: bool, window: int | None, padding: Any = None, given: Any = None
) -> Any:
    """Return which of `keys` positions each of `queries` may see; None if all see everything.

    Args:
        queries: How many there are.
        keys: How many there are.
        causal: Whether a query sees no later position than its own.
        window: It sees this many positions up to its own, and as many from there on if it is not causal.
        padding: `(b, s)`, false for keys that nobody sees.
        given: `(b, t, s)` or `(b, n, t, s)`, what the caller allows in addition.

    Returns:
        A boolean tensor that goes with `(b, n, t, s)`.
    """
    found = []
    if causal or window is not None:
        found.append(near(ops.arange(0, queries), ops.arange(0, keys), causal, window))
    if padding is not None:
        found.append(ops.cast(padding, "bool")[:, None, None, :])
    if given is not None:
        if len(given.shape) not in (3, 4):
            raise ValueError(
                f"An attention_mask has the shape (b, t, s) or (b, heads, t, s), but received {tuple(given.shape)}: "
                f"add an axis for the batch, which may be 1."
            )
        given = ops.cast(given, "bool")
        found.append(given if len(given.shape) == 4 else given[:, None])
    visible = None
    for one in found:
        visible = one if visible is None else ops.logical_and(visible, one)
    return visible


def near(queries: Any, keys: Any, causal: bool, window: int | None) -> Any:  # t s
    """Return which of the positions `keys` (s,) are near enough to each of `queries` (t,)."""
    distance = ops.expand_dims(queries, 1) - keys
    nearest = 0 if causal else None if window is None else 1 - window
    visible = None if nearest is None else distance >= nearest
    if window is None:
        return visible
    not_far = distance < window
    return not_far if visible is None else ops.logical_and(visible, not_far)
