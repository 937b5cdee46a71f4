"""Published variants: architectures by name, any part of which an argument replaces."""

from __future__ import annotations

import difflib
from typing import Any


def settle(
    owner: str, variant: str | None, known: dict[str, dict[str, Any]], default: dict[str, Any], given: dict[str, Any]
) -> dict[str, Any]:
    """Return the architecture: what is given, else what the variant says, else the default.

    Args:
        owner: Builder, for the message.
        variant: Name of a published variant in any case, with or without its dashes; None for the default.
        known: The architecture of each variant, as far as it differs from the default.
        default: The architecture without a variant.
        given: Arguments of the caller, None for those that were left out.

    Returns:
        A value for each entry of `default`.

    Raises:
        ValueError: If the variant is unknown; the message lists those that there are.
    """
    chosen = {**default, **(named(owner, variant, known) if variant is not None else {})}
    plain = {name: value.tolist() if hasattr(value, "tolist") else value for name, value in given.items()}
    return {**chosen, **{name: value for name, value in plain.items() if value is not None}}


def named(owner: str, variant: str, known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the entry of a variant, or list the names."""
    by_key = {_key(name): entry for name, entry in known.items()}
    entry = by_key.get(_key(str(variant)))
    if entry is None:
        near = difflib.get_close_matches(str(variant), list(known), n=1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"{owner}(variant={variant!r}) is unknown. {hint}There are: {', '.join(known)}.")
    return entry


def with_patch(owner: str, variant: str | None) -> tuple[str | None, int | None]:
    """Split a name such as `"ViT-B/16"` into the variant and the size of a patch."""
    if variant is None or "/" not in str(variant):
        return variant, None
    name, _, size = str(variant).partition("/")
    if not size.isdecimal() or int(size) < 1:
        raise ValueError(f"{owner}(variant={variant!r}) needs the size of a patch behind the slash, such as 16.")
    return name, int(size)


def _key(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
