"""Image classification data sets as ready input pipelines; needs `pip install "keras-nnx[data]"`.

Importing this package is cheap: TensorFlow, TensorFlow Datasets and scikit-learn are imported by `load`.
"""

from keras_nnx.data.errors import DataError as DataError
from keras_nnx.data.errors import DatasetFolderError as DatasetFolderError
from keras_nnx.data.errors import MissingExtraError as MissingExtraError
from keras_nnx.data.errors import NoNetworkError as NoNetworkError
from keras_nnx.data.errors import NotPreparedError as NotPreparedError
from keras_nnx.data.errors import UnknownDatasetError as UnknownDatasetError
from keras_nnx.data.errors import UnsupportedDatasetError as UnsupportedDatasetError
from keras_nnx.data.info import DataInfo as DataInfo
from keras_nnx.data.info import PerSplit as PerSplit
from keras_nnx.data.pipeline import DataPipelines as DataPipelines
from keras_nnx.data.pipeline import load as load

__all__ = [
    "DataError",
    "DataInfo",
    "DataPipelines",
    "DatasetFolderError",
    "MissingExtraError",
    "NoNetworkError",
    "NotPreparedError",
    "PerSplit",
    "UnknownDatasetError",
    "UnsupportedDatasetError",
    "load",
]
