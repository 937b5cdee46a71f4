"""How the site is made: Sphinx, MyST for the pages, autodoc for the reference; nothing is fetched."""

import os
import re
import runpy
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"  # autodoc imports the package, and its exports need this backend
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

_VERSION_FILE = Path(__file__).parents[1] / "keras_nnx" / "_version.py"

project = "keras_nnx"
author = "The keras_nnx authors"
copyright = author
version = release = runpy.run_path(str(_VERSION_FILE))["__version__"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
default_role = "code"

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "deflist"]

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_class_signature = "mixed"
autodoc_inherit_docstrings = False
python_maximum_signature_line_length = 88

napoleon_numpy_docstring = False
napoleon_custom_sections = [
    "Input shape",
    "Output shape",
    "Source",
    ("Call arguments", "params_style"),
]

html_theme = "furo"
html_title = f"keras_nnx {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False


def setup(app):
    """Let docstrings write |x| for a magnitude; reStructuredText would take it for a substitution."""
    app.connect("autodoc-process-docstring", _escape_magnitudes, priority=400)  # before napoleon


def _escape_magnitudes(app, what, name, obj, options, lines):
    lines[:] = [re.sub(r"\|(\w+)\|", r"\\|\1\\|", line) for line in lines]
