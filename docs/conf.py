"""How the documentation is built: ``sphinx-build -W docs docs/_build/html``."""

import importlib
import pkgutil
from importlib.metadata import version as installed_version

from sphinx.application import Sphinx

project = "Quetzal"
author = "The Quetzal developers"
copyright = "The Quetzal developers, BSD-3-Clause"
version = release = installed_version("quetzalcore")
language = "en"

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build", "_templates"]
templates_path = ["_templates"]

html_theme = "furo"
html_title = f"Quetzal {release}"

myst_enable_extensions = ["dollarmath", "deflist", "colon_fence"]
myst_heading_anchors = 3

# A single backtick in a docstring names a Python object where there is one of that name.
default_role = "py:obj"
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autosummary_generate = True
numpydoc_show_class_members = False

PACKAGES = ("pipelines", "simulators", "quetzal")


def show_pipelines_as_functions(app: Sphinx) -> None:
    """Put the plain function in the place of each registered pipeline.

    A pipeline is called like its function, but it is an object, which autodoc would list as data
    without a signature.
    """
    from pipelines.registry import Pipeline

    for package in PACKAGES:
        path = importlib.import_module(package).__path__
        for found in pkgutil.walk_packages(path, prefix=f"{package}."):
            if found.name.rpartition(".")[2].startswith("_"):
                continue
            module = importlib.import_module(found.name)
            for name, value in list(vars(module).items()):
                if isinstance(value, Pipeline):
                    setattr(module, name, value.function)


def keep_signature(app: Sphinx, what, name, documented, options, signature, returns):
    """Keep the signature that Python tells.

    numpydoc would look for one in the docstring, as compiled code has it, and stumbles over such
    docstrings when a module imports an object that has one.
    """
    return signature, returns


def setup(app: Sphinx) -> None:
    """Connect to Sphinx, which calls this."""
    app.connect("autodoc-process-signature", keep_signature, priority=100)
    # Before autosummary (priority 500) writes its pages.
    app.connect("builder-inited", show_pipelines_as_functions, priority=100)
