"""`load`: an image classification data set as ready training, validation and test pipelines."""

import dataclasses
import importlib
import os
from typing import TYPE_CHECKING, Any

from keras_nnx.data._arguments import check_arguments
from keras_nnx.data._extra import require
from keras_nnx.data._features import check_features, image_features
from keras_nnx.data._prepare import find_builder, folder_errors, prepare
from keras_nnx.data._splits import choose_splits
from keras_nnx.data.info import DataInfo, PerSplit

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from keras_nnx.data._augment import Augment


@dataclasses.dataclass(frozen=True)
class DataPipelines:
    """The three pipelines of a data set, made by `load`, and what is known about it.

    Pass `shuffle=False` to `model.fit`: the training pipeline shuffles by itself, and Keras warns otherwise.

    Args:
        train: Shuffled, augmented, normalised batches of `(float32 images b h w c, int64 labels b)`, in another
            order at each iteration. All batches are of one size: a partial last batch is dropped, so that a
            compiled training step is compiled once, unless the whole split is smaller than one batch.
        validation: Normalised batches in a fixed order; the last one may be smaller.
        test: As `validation`.
        info: Names, shapes, statistics and sizes.

    Example:
        >>> import tempfile
        >>> from keras_nnx.data import load
        >>> data = load("digits", batch_size=32, data_dir=tempfile.mkdtemp())
        >>> data.info.sizes
        PerSplit(train=1257, validation=270, test=270)
        >>> images, labels = next(iter(data.train))
        >>> images.shape, labels.shape
        (TensorShape([32, 8, 8, 1]), TensorShape([32]))
    """

    train: "tf.data.Dataset"
    validation: "tf.data.Dataset"
    test: "tf.data.Dataset"
    info: DataInfo
    _raw: "PerSplit[tf.data.Dataset]" = dataclasses.field(repr=False)

    def raw(self, split: str) -> "tf.data.Dataset":
        """Batches of a split in pixel units 0..255, neither normalised, shuffled nor augmented.

        This is what an exported model takes that normalises inside.

        Args:
            split: `"train"`, `"validation"` or `"test"`.

        Returns:
            Batches of `(float32 images b h w c, int64 labels b)`, the last of which may be smaller.

        Raises:
            ValueError: If there is no such split.

        Example:
            >>> import tempfile
            >>> from keras_nnx.data import load
            >>> images, labels = next(iter(load("digits", data_dir=tempfile.mkdtemp()).raw("test")))
            >>> float(images[0].numpy().min()), float(images[0].numpy().max())
            (0.0, 255.0)
        """
        if split not in PerSplit._fields:
            raise ValueError(f"raw({split!r}) names no split: use one of {', '.join(map(repr, PerSplit._fields))}.")
        return getattr(self._raw, split)

    def normalization(self) -> "keras.layers.Normalization":
        """A new layer that does to raw pixels what the pipelines do; put it first in a model to be exported.

        Returns:
            The `keras.layers.Normalization`, one mean and one variance for each channel.

        Example:
            >>> import tempfile
            >>> from keras_nnx.data import load
            >>> layer = load("digits", data_dir=tempfile.mkdtemp()).normalization()
            >>> layer.axis
            (-1,)
        """
        import keras

        variance = [deviation**2 for deviation in self.info.standard_deviation]
        return keras.layers.Normalization(axis=-1, mean=list(self.info.mean), variance=variance)


def load(
    name: str,
    *,
    batch_size: int = 64,
    image_size: tuple[int, int] | None = None,
    augment: "str | Augment" = "shift",
    validation_fraction: float = 0.1,
    seed: int = 0,
    data_dir: str | os.PathLike[str] | None = None,
    download: bool = True,
) -> DataPipelines:
    """Loads an image classification data set as pipelines that are ready for `model.fit`.

    `"digits"`, 1,797 handwritten digits of 8x8 pixels, comes with scikit-learn and needs no network; any other name
    is one of TensorFlow Datasets'. The first call prepares the data set on disk. Pictures are normalised by the
    mean and the standard deviation of each channel over the training split alone. The same seed gives the same
    batches in every run, provided that `tf.random.set_seed`, where it is used at all, gets the same seed too.
    Splits of up to 1 GiB of pixels are kept in memory after the first pass, before they are augmented.

    A data set without a validation split gets one from the end of its training split. One without a test split, or
    with a test split whose labels are kept secret, is tested on its validation split; with neither, both are
    carved from the training split. `info.sources` tells.

    Args:
        name: `"digits"`, or a TensorFlow Datasets name such as `"cifar10"` or `"emnist/letters"`.
        batch_size: How many pictures a batch has.
        image_size: `(height, width)` in pixels to resize to; needed where the pictures vary in size.
        augment: What training pictures go through: `"shift"` moves them by up to an eighth of their side,
            `"shift_flip"` also mirrors them (right for photographs, wrong for writing), `"affine"` rotates, scales,
            shears and moves them by fractions of a pixel (right for small sets), `"none"`; or a function
            `augment(image, seed)` of a float32 picture `h w c` in pixel units and two int64 numbers, that returns a
            picture of the same shape and draws by `tf.random.stateless_*` from the seed.
        validation_fraction: The share of the training split that a carved split gets.
        seed: Decides the order and the augmentation of the training pictures.
        data_dir: Where prepared data sets are kept; `TFDS_DATA_DIR`, or `~/tensorflow_datasets`, if None.
        download: Whether the network may be used to prepare the data set.

    Returns:
        The pipelines.

    Raises:
        ValueError: If an argument is none of the above.
        UnknownDatasetError: If there is no such data set; the message names close ones.
        UnsupportedDatasetError: If it is no image classification, or varies in size and `image_size` is None.
        NoNetworkError: If it has to be downloaded and the network cannot be reached.
        NotPreparedError: If it has to be downloaded and `download` is False.
        DatasetFolderError: If the folder cannot be written or read, or is damaged.
        MissingExtraError: If a package is missing; the message names the pip command.

    Example:
        >>> import tempfile
        >>> from keras_nnx.data import load
        >>> data = load("digits", seed=1, data_dir=tempfile.mkdtemp())
        >>> data.info.image_shape, data.info.num_classes, data.info.labels[:3]
        ((8, 8, 1), 10, ('0', '1', '2'))
    """
    check_arguments(name, batch_size, image_size, validation_fraction, seed)
    require("tensorflow")
    change = importlib.import_module("keras_nnx.data._augment").find_augmentation(augment)
    size = (image_size[0], image_size[1]) if image_size else None
    builder = find_builder(name, data_dir)
    check_features(name, builder.info.features, size)  # before what may be a long download
    builder = prepare(builder, name, download)
    features = image_features(name, builder.info.features, size)

    images: Any = importlib.import_module("keras_nnx.data._images")
    with folder_errors(name, str(builder.data_dir_root)):
        counts = {
            split: facts.num_examples
            for split, facts in builder.info.splits.items()
            if facts.num_examples and (split != "test" or images.first_label(builder, split) >= 0)
        }
        sources = choose_splits(name, counts, validation_fraction)
        pixels = PerSplit(*(images.read_pixels(builder, source, features) for source in sources))
        mean, deviation = images.channel_statistics(pixels.train)
        raw = PerSplit(*(images.raw_batches(split, batch_size) for split in pixels))
    training = images.training_batches(pixels.train, batch_size, change, seed)
    info = DataInfo(
        name=name,
        labels=features.labels,
        image_shape=features.image_shape,
        mean=mean,
        standard_deviation=deviation,
        sizes=PerSplit(*map(images.count, pixels)),
        sources=sources,
    )
    return DataPipelines(
        train=images.normalized_batches(training, mean, deviation),
        validation=images.normalized_batches(raw.validation, mean, deviation),
        test=images.normalized_batches(raw.test, mean, deviation),
        info=info,
        _raw=raw,
    )
