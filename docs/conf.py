"""How the site is made: Sphinx, MyST for the pages, autodoc for the reference; nothing is fetched."""

import inspect
import os
import runpy
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"  # autodoc imports the package, and its exports need this backend
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

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
    """Mend what autodoc reads from the sources."""
    app.connect("autodoc-process-signature", _show_own_arguments)


def _show_own_arguments(app, what, name, obj, options, signature, return_annotation):
    """Show the arguments of a layer's __init__; Keras gives every layer a __new__ that hides them."""
    if what != "class" or not issubclass(obj, keras.layers.Layer):
        return None
    found = inspect.signature(obj.__init__)
    arguments = [value.replace(annotation=inspect.Parameter.empty) for value in list(found.parameters.values())[1:]]
    return str(found.replace(parameters=arguments, return_annotation=inspect.Signature.empty)), None
