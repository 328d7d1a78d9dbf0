"""How the documentation site is built: `sphinx-build -W docs OUT`, offline."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from sphinx.application import Sphinx

DOCS = Path(__file__).parent
SRC = DOCS.parent / "src"
# The site shows this checkout, in the kernels of the tutorials too.
sys.path[:0] = [str(SRC), str(DOCS)]
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(SRC), os.environ.get("PYTHONPATH"))))

import reference_pages  # noqa: E402

import galaxalign  # noqa: E402

project = "GalaxAlign"
author = copyright = "The GalaxAlign developers"
release = version = galaxalign.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "numpydoc", "sphinx_design"]
source_suffix = {".md": "myst-nb"}
exclude_patterns = ["**/.ipynb_checkpoints", "jupyter_execute"]
default_role = "py:obj"
nitpicky = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4

nb_execution_mode = "force"
nb_execution_timeout = 120
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_merge_streams = True

autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

html_theme = "pydata_sphinx_theme"
html_title = "GalaxAlign"
html_static_path = ["_static"]
html_css_files = ["galaxalign.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "show_prev_next": True,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "header_links_before_dropdown": 7,
}
html_sidebars = {"index": [], "install": [], "first-half-hour": [], "which-command": []}


def setup(app: Sphinx) -> None:
    """Write the pages that are made from the code before Sphinx looks for pages."""
    app.connect("builder-inited", lambda _: reference_pages.write(DOCS / "reference" / "generated"))
