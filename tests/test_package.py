"""What the package as a whole promises: its names, its documentation, and how little its import costs."""

import compileall
import doctest
import enum
import importlib
import inspect
import json
import pkgutil
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import keras
import pytest

import keras_nnx as nnx
from keras_nnx.export.lowering import layers, operators

OPTIONAL = ("tensorflow_datasets", "onnx", "tf2onnx", "onnxruntime", "ai_edge_litert", "keras_tuner", "matplotlib")
PUBLIC_NAMES = {
    "keras_nnx": {
        "__version__",
        "benchmark_export",
        "check_exportable",
        "blocks",
        "callbacks",
        "data",
        "export",
        "export_model",
        "export_streaming",
        "inspect_export",
        "layers",
        "losses",
        "metrics",
        "models",
        "optimizers",
        "schedules",
        "training",
        "tuning",
        "verify_export",
    },
    "keras_nnx.layers": {
        "AdaptiveInstanceNormalization",
        "AdditiveAttentionPooling",
        "AttentionPooling",
        "BlurPool",
        "ClassToken",
        "ConditionalBatchNormalization",
        "ConvolutionalBlockAttention",
        "DifferentiableAugmentation",
        "EfficientChannelAttention",
        "FeedForward",
        "GlobalResponseNormalization",
        "LabelConcatenation",
        "LayerNormalizationGRUCell",
        "LayerNormalizationLSTMCell",
        "LayerScale",
        "MinibatchStandardDeviation",
        "MultiHeadAttention",
        "MultiplicativeAttentionPooling",
        "PatchDropout",
        "PatchEmbedding",
        "PatchMerging",
        "PixelNormalization",
        "PixelShuffle",
        "PixelUnshuffle",
        "PositionEmbedding",
        "ProjectionHead",
        "RotaryEmbedding",
        "SequencePooling",
        "SpatialSelfAttention",
        "SpectralNormalization",
        "SqueezeExcite",
        "StochasticDepth",
        "WeightStandardizedConv2D",
        "WindowAttention",
    },
    "keras_nnx.blocks": {
        "AttentionDecoderBlock",
        "BottleneckBlock",
        "ConvNeXtBlock",
        "ConvolutionalRecurrentBlock",
        "CrossAttentionBlock",
        "DiscriminatorResidualBlock",
        "GeneratorResidualBlock",
        "InvertedResidualBlock",
        "MLPBlock",
        "MixerBlock",
        "RecurrentBlock",
        "ResidualBlock",
        "StridedConvolutionBlock",
        "SwinBlock",
        "SwinStage",
        "TemporalConvolutionBlock",
        "TransformerDecoderBlock",
        "TransformerEncoderBlock",
        "TransposedConvolutionBlock",
        "UNetDecoderBlock",
        "UNetEncoderBlock",
    },
    "keras_nnx.losses": {
        "DistillationLoss",
        "GANLoss",
        "HingeGANLoss",
        "LeastSquaresGANLoss",
        "MinimaxGANLoss",
        "NonSaturatingGANLoss",
        "QuantileLoss",
        "RelativisticGANLoss",
        "WassersteinGANLoss",
    },
    "keras_nnx.metrics": {"FrechetDistance", "KernelDistance", "Overlap", "PrecisionRecall", "feature_extractor"},
    "keras_nnx.training": {
        "CriticRegularizer",
        "GAN",
        "GANFinding",
        "GANFindingKind",
        "GANMonitor",
        "GANWarning",
        "GenerationMetrics",
        "GradientPenalty",
        "R1",
        "R2",
        "Resume",
        "SampleGrid",
        "ShuffledBatches",
    },
    "keras_nnx.optimizers": {"LayerwiseDecay", "ScheduledSGD"},
    "keras_nnx.schedules": {
        "CosineRestarts",
        "ExponentialDecay",
        "InverseSquareRoot",
        "Joined",
        "MultiStepDecay",
        "OneCycle",
        "OneCycleMomentum",
        "PolynomialDecay",
        "Scaled",
        "StepDecay",
        "WarmupStableDecay",
        "plot",
        "values",
    },
    "keras_nnx.callbacks": {
        "EarlyStopping",
        "FindingKind",
        "GradientFinding",
        "GradientMonitor",
        "GradientWarning",
        "GradualUnfreeze",
        "LearningRateFinder",
        "Limits",
        "ReduceOnPlateau",
        "Reduction",
        "StopKind",
        "StopReason",
        "Throughput",
        "ThroughputMonitor",
        "WarmRestarts",
        "WeightAveraging",
    },
    "keras_nnx.models": {
        "CRNN",
        "Carried",
        "ConvNeXt",
        "DCGANDiscriminator",
        "DCGANGenerator",
        "DeiT",
        "EfficientNet",
        "LanguageModel",
        "ResNet",
        "ResidualDiscriminator",
        "ResidualGenerator",
        "SequenceClassifier",
        "SequenceForecaster",
        "SequenceToSequence",
        "Swin",
        "TemporalConvNet",
        "TransformerDecoder",
        "TransformerEncoder",
        "TransformerSeq2Seq",
        "UNet",
        "ViT",
        "freeze",
        "fuse_heads",
        "greedy_decoder",
        "load_pretrained",
    },
    "keras_nnx.data": {
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
    },
    "keras_nnx.tuning": {
        "Bool",
        "Choice",
        "Float",
        "InfeasibleError",
        "Int",
        "Measurement",
        "MeasurementError",
        "Range",
        "Recipe",
        "Repeat",
        "SearchData",
        "SearchError",
        "SearchResult",
        "Space",
        "TrialResult",
        "architectures",
        "convolutional_classifier",
        "knobs",
        "load_search",
        "measure_artifact",
        "search",
        "space",
        "suggested",
    },
    "keras_nnx.export": {
        "Artifact",
        "CalibrationError",
        "ConverterCrashError",
        "ExportError",
        "ExportReport",
        "Finding",
        "Inspection",
        "IntegrityError",
        "Latency",
        "InvalidArtifactError",
        "OutputDirectoryError",
        "Parity",
        "ParityError",
        "RuntimeFailureError",
        "Signature",
        "SignatureError",
        "TensorSignature",
        "UnsupportedModelError",
        "UnsupportedOperatorError",
        "benchmark_export",
        "check_exportable",
        "export_model",
        "export_streaming",
        "inspect_export",
        "load_model",
        "register_decomposition",
        "register_lowering",
        "verify_export",
    },
}


def modules():
    return [
        name
        for _, name, _ in pkgutil.walk_packages(nnx.__path__, "keras_nnx.")
        if name not in ("keras_nnx.__main__", "keras_nnx.export._worker")
    ]


def public_objects():
    for module, names in PUBLIC_NAMES.items():
        for name in sorted(names):
            value = getattr(importlib.import_module(module), name)
            if inspect.isclass(value) or inspect.isfunction(value):
                yield pytest.param(value, id=f"{module}.{name}")


@pytest.mark.parametrize("module", PUBLIC_NAMES)
def test_public_names(module):
    assert set(importlib.import_module(module).__all__) == PUBLIC_NAMES[module]


def test_unknown_attribute():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        nnx.nonsense  # noqa: B018


def test_dir_lists_the_lazy_names():
    assert {"export_model", "inspect_export", "data"} <= set(dir(nnx))


@pytest.mark.parametrize("value", list(public_objects()))
def test_public_docstrings_say_what_a_reader_needs(value):
    text = inspect.getdoc(value)
    assert text
    if inspect.isclass(value) and issubclass(value, Exception | enum.Enum):
        return
    parameters = [
        name for name in inspect.signature(value).parameters if name not in ("kwargs", "self") and name[0] != "_"
    ]
    if parameters:
        assert "Args:" in text
        for name in parameters:
            assert f"{name}:" in text, name
    if inspect.isclass(value) and issubclass(value, keras.layers.Layer):
        for section in ("Input shape:", "Output shape:", "Raises:", "Example:", "Source:"):
            assert section in text, section


@pytest.mark.parametrize("name", modules())
def test_examples_in_docstrings_run(name, monkeypatch):
    for registry in (layers, operators):  # what an example teaches the engine is for that example
        monkeypatch.setattr(registry, "_REGISTRY", dict(registry._REGISTRY))
    module = importlib.import_module(name)
    outcome = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert outcome.failed == 0


@pytest.mark.multiprocess
def test_import_is_cheap_and_brings_no_optional_package(tmp_path):
    """Medians over fresh processes, taken in turns: what keras_nnx adds to the time of importing Keras.

    Sources are compiled before, as pip does when it installs a package.
    """
    shutil.copytree(Path(nnx.__file__).parent, tmp_path / "keras_nnx", ignore=shutil.ignore_patterns("__pycache__"))
    assert compileall.compile_dir(tmp_path, quiet=1)
    program = """
import json, sys, time
import keras
start = time.perf_counter()
if sys.argv[1] == "nnx":
    import keras_nnx
print(json.dumps([time.perf_counter() - start, sorted(name for name in sys.modules if "." not in name)]))
"""
    seconds = {"nnx": [], "none": []}
    imported = {}
    for _ in range(3):
        for kind in seconds:
            done = subprocess.run(
                [sys.executable, "-c", program, kind],
                capture_output=True,
                text=True,
                check=True,
                timeout=120,
                cwd=tmp_path,
            )
            taken, names = json.loads(done.stdout)
            seconds[kind].append(taken)
            imported[kind] = set(names)
    assert "keras_nnx" in imported["nnx"]
    assert not set(OPTIONAL) & (imported["nnx"] - imported["none"])
    assert statistics.median(seconds["nnx"]) - statistics.median(seconds["none"]) < 0.15


@pytest.mark.multiprocess
def test_missing_extra_names_the_command():
    program = """
import sys
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "onnxruntime" else find(name, *rest)
import keras_nnx as nnx
try:
    nnx.export_model
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert 'keras_nnx.export needs onnxruntime: run pip install "keras-nnx[export]".' in done.stdout
