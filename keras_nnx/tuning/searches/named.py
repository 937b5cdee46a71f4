"""Spaces and data by name: what comes with the package, and what a user has written."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import importlib.util
import inspect
import sys
import sysconfig
import traceback
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_nnx.tuning.searches.configuration import SPACE_NAMES

if TYPE_CHECKING:
    from keras_nnx.tuning.hypermodel import Space
    from keras_nnx.tuning.searches.data import SearchData


def find_data(name: str, seed: int) -> SearchData:
    """Return the data of a name.

    Args:
        name: A data set of `keras_nnx.data`, an .npz file, or `module:attribute`, where the attribute is, or returns,
            a `SearchData`, or training and validation data, each a tuple of inputs and targets.
        seed: Of splits, order and augmentation.

    Raises:
        ValueError: If there is nothing of that name.
    """
    from keras_nnx.tuning.searches import data

    if name.endswith(".npz"):
        return data.from_file(Path(name), seed)
    if ":" not in name:
        return data.from_pipelines(name, seed)
    found = find_attribute(name)
    if callable(found):
        with _code_of_the_user(name):
            found = found()
    if isinstance(found, data.SearchData):
        return found
    if isinstance(found, tuple) and len(found) == 2:
        inner = isinstance(found[0], tuple)
        return data.arrays(*found, seed=seed) if inner else data.arrays(found, None, seed)
    raise ValueError(
        f"{name} is a {type(found).__name__}: it has to be ((x, y), (x_val, y_val)), (x, y), or nnx.tuning.SearchData."
    )


def find_space(name: str, data: SearchData) -> Space:
    """Return the space of a name.

    Args:
        name: One of `SPACE_NAMES`, or `module:attribute`, where the attribute is a `Space`, or returns one, given
            nothing or `input_shape` and `classes`.
        data: What it is for.

    Raises:
        ValueError: If there is nothing of that name.
    """
    from keras_nnx.tuning.hypermodel import Space
    from keras_nnx.tuning.searches import spaces

    check_space_name(name)
    found: Any = find_attribute(name) if ":" in name else getattr(spaces, name)
    if not isinstance(found, Space) and callable(found):
        needed = inspect.signature(found).parameters
        known = {"input_shape": data.input_shape, "classes": data.classes}
        if ":" not in name and data.classes is None:
            raise ValueError(f"The space {name} is for classes, and the data have none: give module:attribute.")
        with _code_of_the_user(name):
            found = found(**{key: value for key, value in known.items() if key in needed})
    if not isinstance(found, Space):
        raise ValueError(f"{name} is a {type(found).__name__}: it has to be what nnx.tuning.space returns.")
    return found


def check_space_name(name: str) -> None:
    """Raise unless a name can be that of a space.

    Raises:
        ValueError: With the names that there are.
    """
    if ":" in name or name in SPACE_NAMES:
        return
    close = difflib.get_close_matches(name, SPACE_NAMES, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    raise ValueError(
        f"There is no space {name!r}.{hint} There are {', '.join(SPACE_NAMES)}; your own is module:attribute or "
        f"file.py:attribute, what nnx.tuning.space returns."
    )


def check_file(name: str) -> None:
    """Raise if a name is that of a file which is not there.

    Raises:
        ValueError: With the name of the file.
    """
    path = Path(name.rpartition(":")[0] or name)
    if path.suffix in (".py", ".npz") and not path.is_file():
        raise ValueError(f"There is no file {path}.")


def find_attribute(name: str) -> Any:
    """Return what `module:attribute` or `file.py:attribute` names.

    Raises:
        ValueError: If there is none.
    """
    source, _, attribute = name.rpartition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    if source.endswith(".py"):
        module = _load_file(Path(source))
    else:
        if not _is_found(source):
            raise ValueError(f"{name}: there is no module {source}: name one that Python finds from {here}, or a file.")
        with _code_of_the_user(name):
            module = importlib.import_module(source)
    if not hasattr(module, attribute):
        names = [key for key in vars(module) if not key.startswith("_")]
        raise ValueError(f"{source} has no {attribute!r}; it has {', '.join(names)}.")
    return getattr(module, attribute)


def _load_file(path: Path) -> Any:
    if not path.is_file():
        raise ValueError(f"There is no file {path}.")
    path, name = path.resolve(), path.stem
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) != str(path):
        name = f"{name}_{zlib.crc32(str(path).encode()):08x}"  # another module, or another file, is called so
        known = sys.modules.get(name)
    if known is not None:
        return known
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # for the type checker: it ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # so that Keras can name the classes in it
    sys.path.append(str(path.parent))  # what it imports may lie beside it
    try:
        with _code_of_the_user(str(path)):
            spec.loader.exec_module(module)
    except ValueError:
        del sys.modules[name]
        raise
    return module


def _is_found(module: str) -> bool:
    with contextlib.suppress(ImportError, ValueError):  # of a package on the way to it, or of an empty name
        return module in sys.modules or importlib.util.find_spec(module) is not None
    return False


@contextlib.contextmanager
def _code_of_the_user(name: str) -> Iterator[None]:
    """Tell errors of what a user has written by where they are.

    Raises:
        ValueError: If anything is raised inside the block.
    """
    try:
        yield
    except (Exception, SystemExit) as error:
        raise ValueError(f"{name} cannot be used: {described(error)}") from error


def described(error: BaseException) -> str:
    """Return the type and the message of an error, and the line of a user that it comes from."""
    words = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError):
        return words  # whose message has the line
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_ours(frame.filename)]
    if isinstance(error, SystemExit):
        words = f"it ends the process with exit({'' if error.code is None else error.code})"
    return f"{words} ({frames[-1].filename}, line {frames[-1].lineno})" if frames else words


def _is_ours(file: str) -> bool:
    """Return whether a file is of this package, of another that is installed, or of Python itself."""
    ours = (str(Path(__file__).parents[2]), sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), "<")
    return file.startswith(ours)
