"""Recurrence for targets: one operator, a loop, or all steps written out."""

from keras_nnx.export.lowering.recurrence.layers import lowered_recurrence as lowered_recurrence
from keras_nnx.export.lowering.recurrence.plans import MODES as MODES
from keras_nnx.export.lowering.recurrence.plans import Plan as Plan
