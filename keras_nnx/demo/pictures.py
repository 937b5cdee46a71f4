"""Drawings for the report."""

from __future__ import annotations

import io
import re

import numpy as np

from keras_nnx._html import data_address

_BLUE, _ORANGE = "#3f66d9", "#d9822b"


def picture_png(pixels: np.ndarray) -> bytes:
    """Return an image (h, w, c) of values 0..255 as a PNG file."""
    from PIL import Image

    values = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values[..., 0] if values.shape[-1] == 1 else values).save(buffer, "PNG")
    return buffer.getvalue()


def picture_address(pixels: np.ndarray) -> str:
    """Return an image as an address that holds it."""
    return data_address(picture_png(pixels), "image/png")


def curves_svg(curves: dict[str, list[float]], best_epoch: int) -> str:
    """Return the learning curves, loss above accuracy, as an SVG drawing that takes the page's text colour."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, NullFormatter

    grey = "#808892"
    figure = Figure(figsize=(5, 4.8), layout="constrained")
    figure.patch.set_alpha(0)
    panels = figure.subplots(2, 1, sharex=True)
    epochs = np.arange(1, len(curves["loss"]) + 1)
    for panel, name in zip(panels, ("loss", "accuracy"), strict=True):
        panel.patch.set_alpha(0)
        marker = "o" if len(epochs) == 1 else None
        panel.plot(epochs, curves[name], color=_BLUE, marker=marker, label="training")
        panel.plot(epochs, curves[f"val_{name}"], color=_ORANGE, marker=marker, label="validation")
        panel.axvline(best_epoch, color=grey, linestyle=":", linewidth=1)
        panel.set_ylabel(name, color=grey)
        panel.grid(color=grey, alpha=0.2)
        panel.tick_params(which="both", colors=grey)
        panel.spines[:].set_visible(False)
    panels[0].set_yscale("log")
    panels[0].yaxis.set_minor_formatter(NullFormatter())
    panels[1].xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[1].set_xlabel("epoch (dotted: the weights that were kept)", color=grey)
    panels[0].legend(frameon=False, labelcolor=grey)
    panels[1].set_ylim(top=1.005)
    buffer = io.StringIO()
    FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    drawing = buffer.getvalue()
    # The namespace declarations and metadata hold addresses, though nothing is loaded from them.
    drawing = drawing[drawing.index("<svg") :]
    drawing = re.sub(r"<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
    return drawing.replace("<svg ", '<svg role="img" aria-label="Loss and accuracy by epoch" ', 1)
