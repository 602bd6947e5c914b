"""What pages of the site take from the package when they are built.

A line `<!-- from the package: NAME ARGUMENT... -->` of a page gives way to the Markdown that the function of that name
makes; where a page is read without the site, nothing shows. Pages that are nothing but that, one a link of the model,
are written to `docs/links/`. Beside that it lays MathJax into the site, from the Python package that holds its files.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import command_page
import comparison
import contested
import credibility
import link_pages
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from kapsim.evidence import LINKS
from kapsim.statements import DISCLAIMER

MARK = re.compile(r"^<!-- from the package: ([\w-]+)((?: [\w.-]+)*) -->$", re.MULTILINE)
MAKERS: dict[str, Callable[..., str]] = {
    "commands": command_page.commands,
    "links": link_pages.overview,
    **contested.MAKERS,
    **credibility.MAKERS,
    **comparison.MAKERS,
}


def filled(text: str) -> str:
    """Return a page with every mark replaced."""
    return MARK.sub(lambda found: MAKERS[found[1]](*found[2].split()), text)


def write_pages(app: Sphinx) -> None:
    """Write one page a link, each only where it changed, so that nothing is read again without need."""
    folder = Path(app.srcdir) / "links"
    folder.mkdir(exist_ok=True)
    pages = {link: link_pages.page(link) for link in LINKS}
    for path in folder.glob("*.md"):
        if path.stem not in (*pages, "index"):
            path.unlink()
    for link, text in pages.items():
        path = folder / f"{link}.md"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def _fill(app: Sphinx, docname: str, content: list[str]) -> None:
    del app, docname
    content[0] = filled(content[0])


def _mathjax(app: Sphinx, problem: Exception | None) -> None:
    """Copy what typesetting needs, a tenth of what the package holds."""
    found = importlib.util.find_spec("sphinx-mathjax-offline")
    if problem is not None or app.builder.format != "html" or found is None or found.origin is None:
        return
    source, target = Path(found.origin).parent / "static" / "mathjax", Path(app.outdir) / "_static" / "mathjax"
    fonts = Path("output", "chtml", "fonts", "woff-v2")
    (target / fonts).mkdir(parents=True, exist_ok=True)
    shutil.copy(source / "tex-chtml.js", target)
    shutil.copytree(source / fonts, target / fonts, dirs_exist_ok=True)


def _limits(app: Sphinx, pagename: str, templatename: str, context: dict[str, object], doctree: object) -> None:
    del app, pagename, templatename, doctree
    context["limits_of_use"] = DISCLAIMER


def setup(app: Sphinx) -> ExtensionMetadata:
    """Let Sphinx call it."""
    app.connect("builder-inited", write_pages, priority=100)
    app.connect("source-read", _fill)
    app.connect("html-page-context", _limits)
    app.connect("build-finished", _mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
