"""The `digits` data set for TensorFlow Datasets: scikit-learn's handwritten digits, which need no network.

`keras_nnx.data.load("digits")` imports this module by itself. To use the data set through TensorFlow Datasets,
import the module, which registers the builder, and then ask for it by name:

    import keras_nnx.data.digits
    import tensorflow_datasets as tfds

    train, info = tfds.load("digits", split="train", with_info=True)
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_nnx.data._extra import missing_extra, require
from keras_nnx.data._stratify import Indices, stratified_split

try:
    import tensorflow_datasets as tfds
except ModuleNotFoundError as error:
    raise missing_extra(error, "The data set 'digits' needs TensorFlow Datasets") from error

HELD_OUT_SIZE = 270  # 15 % of 1,797, for validation and again for test
SPLIT_SEED = 1797
BRIGHTEST = 16

_DESCRIPTION = """\
1,797 handwritten digits, 8x8 pixels, one channel: the copy of the test set of UCI's Optical Recognition of \
Handwritten Digits that scikit-learn bundles, so that nothing is downloaded. The originals count the ink in each \
4x4 block, 0 to 16; here these counts are scaled to ordinary pixels, round(count * 255 / 16). The split into 1,257 \
training, 270 validation and 270 test images is stratified by label and fixed. `index` is the position in \
scikit-learn's bundle.
"""

_CITATION = """\
@misc{alpaydin1998optical,
  author    = {Alpaydin, Ethem and Kaynak, Cenk},
  title     = {Optical Recognition of Handwritten Digits},
  year      = {1998},
  publisher = {UCI Machine Learning Repository},
  doi       = {10.24432/C50P49}
}
"""


class Digits(tfds.core.GeneratorBasedBuilder):
    """Builds `digits`: 1,797 handwritten digits, 8x8x1 uint8, with ten labels and no download.

    Example:
        >>> import tempfile
        >>> import keras_nnx.data.digits
        >>> builder = keras_nnx.data.digits.Digits(data_dir=tempfile.mkdtemp())
        >>> builder.name, builder.info.features["image"].shape, builder.info.features["label"].num_classes
        ('digits', (8, 8, 1), 10)
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}  # noqa: RUF012

    # Nothing is downloaded, so there are no checksums to look for next to this file.
    url_infos = None

    def _info(self) -> Any:
        """Describes the data set to TensorFlow Datasets."""
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(8, 8, 1), dtype=np.uint8),
                    "label": tfds.features.ClassLabel(num_classes=10),
                    "index": tfds.features.Scalar(dtype=np.int64),
                }
            ),
            supervised_keys=("image", "label"),
            homepage="https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
            citation=_CITATION,
            license="CC BY 4.0",
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        """Splits scikit-learn's bundle; the download manager has nothing to do."""
        del dl_manager
        bundle = require("sklearn.datasets").load_digits()
        pixels = np.rint(bundle.images * (255 / BRIGHTEST)).astype(np.uint8)[..., None]
        splits = stratified_split(bundle.target, HELD_OUT_SIZE, SPLIT_SEED)
        return {
            name: self._generate_examples(indices, pixels, bundle.target) for name, indices in splits._asdict().items()
        }

    def _generate_examples(
        self, indices: Indices, pixels: np.ndarray, labels: np.ndarray
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yields the examples of one split."""
        for index in indices.tolist():
            yield index, {"image": pixels[index], "label": int(labels[index]), "index": index}
