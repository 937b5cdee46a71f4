"""Callbacks."""

__all__: list[str] = []
