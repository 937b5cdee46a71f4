"""Searches: trials of a space, measured on the artifact, that survive what a long run meets.

What is imported from here on the way to starting processes (`objectives`, `result`, `configuration`, `supervisor`)
imports neither Keras nor keras-tuner: the process that watches the others stays small.
"""
