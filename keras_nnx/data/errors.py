"""The errors of `keras_nnx.data`: one base class, and one class for each thing a caller can act on."""


class DataError(Exception):
    """The base of every error that `keras_nnx.data` raises about a data set.

    Each subclass is also the built-in error that fits, so that ordinary `except ValueError` works.

    Example:
        >>> from keras_nnx.data import DataError, UnknownDatasetError
        >>> issubclass(UnknownDatasetError, DataError) and issubclass(UnknownDatasetError, ValueError)
        True
    """


class UnknownDatasetError(DataError, ValueError):
    """No data set has this name; the message lists the names that are close to it."""


class UnsupportedDatasetError(DataError, ValueError):
    """The data set exists, but no image classification pipeline can be made of it as asked."""


class NotPreparedError(DataError, FileNotFoundError):
    """The data set is not on this machine, and `download=False` forbids to fetch it."""


class NoNetworkError(DataError, ConnectionError):
    """The data set has to be downloaded, and the place that it comes from cannot be reached."""


class MissingExtraError(DataError, ImportError):
    """A Python package that this data set needs is not installed; the message names the pip command."""


class DatasetFolderError(DataError, OSError):
    """The folder of the prepared data set cannot be written or read; the message says what to do with it."""
