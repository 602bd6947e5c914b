"""The explorer as a WSGI application, and its serving: one process, threads, nothing written down."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from kapsim.errors import InputError

if TYPE_CHECKING:
    from dash import Dash

    from kapsim.app.solving import Desk

LOOPBACK = ("127.0.0.1", "localhost", "::1")
#: Threads that answer. A browser opens several connections; with too few connections allowed, pages stall.
_THREADS, _CONNECTIONS, _IDLE_S = 16, 500, 30


def make_app(desk: Desk, slow: Desk, hosts: Sequence[str]) -> Dash:
    """Return the explorer.

    Parameters
    ----------
    desk : Desk
        Where courses are solved.
    slow : Desk
        Where what takes long is worked out: reports, cortices and trials.
    hosts : sequence of str
        Names with ports under which it may be asked; empty takes any.
    """
    # before there are threads: Plotly looks into pandas, which xarray brings, and may not find it half loaded
    import xarray  # noqa: F401
    from dash import ClientsideFunction, Dash, Input, Output

    from kapsim.app import (
        brain_page,
        course_callbacks,
        course_page,
        evidence_page,
        exports,
        guard,
        parts,
        shell,
        story_page,
        trial_page,
    )
    from kapsim.app.address import View, read

    app = Dash(
        "kapsim.app",
        assets_folder=str(files("kapsim.app").joinpath("assets")),
        serve_locally=True,
        title="kapsim",
        update_title="",
        suppress_callback_exceptions=True,
        compress=False,
        include_pages_meta=False,
    )
    app.index_string = _INDEX
    app.layout = shell.layout

    @app.callback(Output("main", "children"), Input("url", "pathname"), Input("url", "search"))
    def show(path: Any, query: Any) -> Any:
        asked = query if isinstance(query, str) else ""
        if path == "/story":
            return story_page.page()
        if path == "/brain":
            return brain_page.page()
        if path == "/trial":
            return trial_page.page()
        if path == "/evidence":
            return evidence_page.page(asked)
        if path not in ("/", None):
            return [parts.notice("There is no such page; the menu above names those that are.")]
        try:
            return course_page.page(read(asked))
        except InputError as error:
            from kapsim.app.controls import FIRST, preset_controls

            return course_page.page(View(preset_controls(FIRST)), str(error))

    app.clientside_callback(
        ClientsideFunction("kapsim", "scheme"),
        Output("scheme", "data"),
        Output("dark", "checked"),
        Input("dark", "checked"),
    )
    app.clientside_callback(ClientsideFunction("kapsim", "title"), Output("main", "title"), Input("url", "pathname"))
    course_callbacks.connect(app, desk)
    story_page.connect(app, desk)
    brain_page.connect(app, slow)
    trial_page.connect(app, slow)
    evidence_page.connect(app)
    exports.connect(app.server, desk, slow)
    guard.protect(app, hosts)
    return app


#: Dash's own page with a language, and without anything that is fetched from elsewhere.
_INDEX = """<!DOCTYPE html>
<html lang="en">
<head>
{%metas%}
<meta name="color-scheme" content="light dark">
<title>{%title%}</title>
{%favicon%}
{%css%}
</head>
<body>
{%app_entry%}
<footer class="hidden">
{%config%}
{%scripts%}
{%renderer%}
</footer>
</body>
</html>
"""


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens where it was asked to.

    Raises
    ------
    InputError
        Where the port is taken, not allowed or not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(128)
    except OSError as error:
        found.close()
        reason = (error.strerror or str(error)).lower()
        raise InputError(
            f"{host}:{port}: {reason}; give another port with --port, or stop what listens there"
        ) from None
    return found


def serve(host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve the explorer until interrupted.

    Parameters
    ----------
    host : str
        Address to listen on.
    port : int
        0 takes a free one.
    ready : callable
        Called with the address of the page, once it can be asked for.

    Raises
    ------
    InputError
        Where it cannot listen there.
    """
    from waitress import create_server

    from kapsim.app import guard
    from kapsim.app.solving import Desk, warm_up

    listening = listen(host, port)
    taken = listening.getsockname()[1]
    desk, slow = Desk(), Desk(waiting=4, kept=8)
    try:
        app = make_app(desk, slow, guard.trusted_hosts(host, taken))
        server = create_server(
            app.server,
            sockets=[listening],
            threads=_THREADS,
            connection_limit=_CONNECTIONS,
            channel_timeout=_IDLE_S,
            max_request_body_size=guard.MOST_BYTES,
            ident=None,
        )
        warm_up(desk)
        shown = f"[{host}]" if ":" in host else host
        ready(f"http://{shown}:{taken}/")
        server.run()
    finally:
        desk.close()
        slow.close()
        listening.close()
