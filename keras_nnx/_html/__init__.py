"""Pages that load nothing from elsewhere; whatever comes from a model or a user is escaped."""

from __future__ import annotations

import base64
from typing import Any

from keras_nnx._tables import FORMAT_NAMES, describe_parity, describe_stream, human_size


def render(template: str, **values: Any) -> str:
    """Return the page made of a template of this folder.

    Raises:
        ImportError: If jinja2 is missing.
    """
    try:
        import jinja2
    except ImportError as error:
        raise ImportError('HTML reports need jinja2: run pip install "keras-nnx[plot]".') from error
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("keras_nnx._html", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["size"] = human_size
    environment.filters["parity"] = describe_parity
    environment.filters["stream"] = describe_stream
    environment.globals["format_names"] = FORMAT_NAMES
    return environment.get_template(template).render(**values)


def data_address(content: bytes, kind: str) -> str:
    """Return `content` as an address that holds it, so that a page needs no other file."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
