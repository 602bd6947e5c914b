"""How the site is built: `make docs`; CONTRIBUTING.md says the rest."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent / "scripts")]

import kapsim  # noqa: E402
from kapsim.evidence import evidence_version  # noqa: E402

project = "kapsim"
author = "kapsim developers"
copyright = "2026, kapsim developers; MIT licence"
version = release = kapsim.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "from_package",  # _ext/: what pages take from the package
]
exclude_patterns = ["_build", "_templates", "examples/*", "gallery/**/*.ipynb", "gallery/*.py", "**/README.md"]
templates_path = ["_templates"]
html_static_path = ["_static"]

# Every cross-reference within the project must lead somewhere; types of other packages are named, not linked, since
# their inventories would have to come over the network.
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!kapsim\.).*")]

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 3
myst_links_external_new_tab = False

autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings say types, with units and shapes
numpydoc_show_class_members = False
numpydoc_validation_checks: set[str] = set()

mathjax_path = "mathjax/tex-chtml.js"  # of _ext/from_package.py: a page asks no other host for anything

copybutton_exclude = ".linenos, .gp, .go"

sphinx_gallery_conf = {
    "examples_dirs": ["examples"],
    "gallery_dirs": ["gallery"],
    "filename_pattern": r"[\\/]plot_",
    "ignore_pattern": r"(?:^|[\\/])(?!plot_)[^\\/]*\.py$",
    "image_scrapers": ("matplotlib",),
    "matplotlib_animations": False,
    "abort_on_example_error": False,
    "download_all_examples": True,
    "remove_config_comments": True,
    "plot_gallery": "True",
    "min_reported_time": 1,
    "show_memory": False,
    "write_computation_times": False,  # its table loads scripts from elsewhere
    "within_subsection_order": "FileNameSortKey",
    "capture_repr": ("_repr_html_", "__repr__"),
}

html_theme = "pydata_sphinx_theme"
html_title = f"kapsim {release}"
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
html_css_files = ["kapsim.css"]
html_theme_options = {
    "logo": {"text": "kapsim"},
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": True,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "footer_start": ["limits"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_context = {"evidence_version": evidence_version(), "default_mode": "auto"}
html_sidebars = {"index": [], "glossary": [], "changelog": [], "contributing": []}

linkcheck_timeout = 20
linkcheck_retries = 2
linkcheck_workers = 4
# Publishers turn programs away, so that a DOI would be called broken: they are checked for their form alone.
linkcheck_ignore = [r"https://doi\.org/.*", r"http://127\.0\.0\.1.*"]
