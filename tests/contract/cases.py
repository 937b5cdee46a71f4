"""Every case of the layer contract."""

from tests.contract import (
    adversarial_cases,
    convolution_block_cases,
    layer_cases,
    recurrent_cases,
    token_block_cases,
    token_layer_cases,
)
from tests.contract.case import BATCH

__all__ = ["BATCH", "CASES", "MASKED"]

CASES = (
    *layer_cases.CASES,
    *token_layer_cases.CASES,
    *convolution_block_cases.CASES,
    *token_block_cases.CASES,
    *recurrent_cases.CASES,
    *adversarial_cases.CASES,
)
MASKED = tuple(case for case in CASES if case.mask is not None)
