"""``kapsim serve``: the explorer, a local web page."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated

import typer

from kapsim.errors import InputError

#: What the extra `web` brings, as it is imported.
_NEEDED = ("dash", "dash_mantine_components", "waitress")


def serve(
    port: Annotated[
        int, typer.Option("--port", metavar="P", min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = 8050,
    host: Annotated[
        str,
        typer.Option(
            "--host", metavar="H", help="Address to listen on; any but this machine's own needs --allow-remote."
        ),
    ] = "127.0.0.1",
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Let other machines ask: there is no password and no encryption.")
    ] = False,
) -> None:
    """Serve the explorer: a page on which a course changes as its controls are moved."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise InputError(f"the explorer needs {missing[0]}; get it with: pip install 'kapsim[web]'")
    from kapsim.app.server import LOOPBACK
    from kapsim.app.server import serve as serve_pages

    if host not in LOOPBACK:
        if not allow_remote:
            raise InputError(
                f"--host {host}: others could then ask this server; add --allow-remote if that is meant, "
                f"or leave it at {LOOPBACK[0]}"
            )
        typer.echo(
            f"warning: whoever reaches {host} can use this server; it has no password and no encryption", err=True
        )

    def ready(address: str) -> None:
        # flushed: whoever started it from a script waits for this line
        print(f"kapsim explorer: {address} (Ctrl-C ends it)", flush=True)

    serve_pages(host, port, ready)
