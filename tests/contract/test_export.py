"""Every layer reaches every format, with proof: of unknown sizes where it takes them, and behind a mask."""

import pytest

from tests.contract.cases import CASES, MASKED

FORMATS = ["saved_model", "onnx", "tflite"]


def check(report, case):
    assert report.proven
    assert sorted(report.artifacts) == sorted(FORMATS)
    has_floats = "float32" in map(case.dtype_of, range(len(case.shapes)))  # integers are neither large nor nearly equal
    least = 4 if has_floats else 3
    assert all(artifact.parity.batches >= least for artifact in report.artifacts.values())


@pytest.mark.parametrize("case", [case for case in CASES if not case.unknown and case not in MASKED], ids=str)
def test_export(case, export):
    check(export(case.model(case.make_built())), case)


@pytest.mark.parametrize("case", [case for case in CASES if case.unknown], ids=str)
def test_export_with_unknown_sizes(case, export):
    report = export(case.model(case.make_built(), scale=None))
    check(report, case)
    unknown = sum(len(case.unknown_of(index)) for index in range(len(case.shapes)))
    assert len(report.signature.dynamic_dimensions) == 1 + unknown


@pytest.mark.parametrize("case", MASKED, ids=str)
def test_export_behind_a_mask(case, export):
    check(export(case.model(case.make_built(), masked=True)), case)
