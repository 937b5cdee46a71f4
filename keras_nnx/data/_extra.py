"""Imports the packages of the `data` extra, or says how to install them."""

import importlib
from typing import Any

from keras_nnx.data.errors import MissingExtraError


def require(module: str) -> Any:
    """Imports a module of the `data` extra by its name.

    Args:
        module: The dotted name, such as `"sklearn.datasets"`.

    Returns:
        The imported module.

    Raises:
        MissingExtraError: If the module, or one that it imports, is not installed.

    Example:
        >>> require("numpy").__name__
        'numpy'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise missing_extra(error, f"keras_nnx.data needs '{module}'") from error


def missing_extra(error: ModuleNotFoundError, need: str) -> MissingExtraError:
    """The error for a module that is not there, with the pip command.

    Args:
        error: What Python raised.
        need: The beginning of the message: who needs what.

    Returns:
        The error, to be raised.

    Example:
        >>> print(missing_extra(ModuleNotFoundError("no", name="tqdm"), "'mnist' needs more"))
        'mnist' needs more, but the module 'tqdm' is not installed. Run: pip install "keras-nnx[data]"
    """
    return MissingExtraError(
        f"{need}, but the module '{error.name}' is not installed. Run: pip install \"keras-nnx[data]\"",
        name=error.name,
    )
