"""Settings of the documentation site. Build it with `sphinx-build -W docs build/site`."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

from mmpid import __version__  # noqa: E402

project, author, release = "mmpid", "the mmpid developers", __version__
copyright = "the mmpid developers"  # noqa: A001 - the name that Sphinx reads
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "gather",
]
exclude_patterns = ["_templates", "_ext", "_static", "**/.ipynb_checkpoints"]
source_suffix = {
    ".rst": "restructuredtext",
    ".md": "myst-nb",
    ".ipynb": "myst-nb",
}  # the first is that of generated pages

nb_execution_mode = "off"  # notebooks are shown as they were executed; `mmpid check` executes them
nb_ipywidgets_js = {}  # widgets need a kernel; the site loads nothing from elsewhere
nb_merge_streams = True
suppress_warnings = ["mystnb.unknown_mime_type"]  # the values that a notebook publishes are for `mmpid check`
myst_enable_extensions = ["colon_fence", "deflist", "substitution"]
myst_heading_anchors = 4

autosummary_generate = True
autosummary_generate_overwrite = True
autodoc_typehints = "none"  # docstrings name the types
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
napoleon_use_admonition_for_examples = False

templates_path = ["_templates"]
html_theme = "furo"
html_title = f"mmpid {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = html_show_sourcelink = False
linkcheck_ignore = [r"https?://.*"]  # the build is offline; links inside the site are checked by -W
