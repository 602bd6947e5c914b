"""What the server lets in and what goes with every answer: hosts, origin, size, shape of requests, headers."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from dash import Dash
    from flask import Response

#: Largest body of a request, bytes.
MOST_BYTES = 64 * 1024
#: Where callbacks are asked.
CALLBACKS = "/_dash-update-component"
_DEEPEST = 12
_LOG = logging.getLogger("kapsim.app")


def trusted_hosts(host: str, port: int) -> list[str]:
    """Return the names under which the server may be asked; anything else could be another site's doing."""
    names = ["127.0.0.1", "localhost", "[::1]"]
    # behind an address of all interfaces nobody can say the name in advance
    return [] if host in ("0.0.0.0", "::") else [f"{name}:{port}" for name in dict.fromkeys((*names, host))]


def protect(app: Dash, hosts: Iterable[str]) -> None:
    """Put the checks before, and the headers behind, every request of an app.

    Parameters
    ----------
    app : Dash
        With its layout and callbacks in place: the hashes of its own inline scripts go into the policy.
    hosts : iterable of str
        As `trusted_hosts` gives them; empty trusts any.
    """
    from flask import abort, request

    server, trusted = app.server, frozenset(hosts)
    server.config["MAX_CONTENT_LENGTH"] = MOST_BYTES
    server.config["PROPAGATE_EXCEPTIONS"] = False
    known = {spec["output"]: spec for spec in _specifications(app)}
    policy = _policy(app)

    @server.before_request
    def check() -> None:
        if trusted and request.host not in trusted:
            abort(400, "unknown host")
        if request.method not in ("GET", "HEAD", "OPTIONS", "POST"):
            abort(405)
        if request.method == "POST":
            origin = request.headers.get("Origin")
            if origin is not None and urlsplit_host(origin) != request.host:
                abort(403, "request of another site")
            if request.path != CALLBACKS:
                abort(405)
            body = request.get_json(silent=True)
            if not well_formed(body, known):
                abort(400, "request not understood")

    @server.after_request
    def headers(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = policy
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["X-Frame-Options"] = "DENY"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        response.headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=()"
        if not request.path.startswith(("/_dash-component-suites", "/assets")):
            response.headers["Cache-Control"] = "no-store"
        return response

    @server.errorhandler(Exception)
    def plain(error: Exception) -> Any:
        from dash.exceptions import DependencyException
        from werkzeug.exceptions import HTTPException

        if isinstance(error, DependencyException):
            # a file that no page asks for, or a way out of the folders that are served
            text, status = "404: no such file", 404
        elif isinstance(error, HTTPException):
            text = f"{error.code}: {error.description or error.name}"
            status = error.code or 500
        else:
            # the reason goes to whoever runs the server, never to whoever asked
            _LOG.error("request of %s failed", request.path, exc_info=error)
            text, status = "500: the server could not answer; its log says why", 500
        return server.response_class(" ".join(text.split()) + "\n", status=status, mimetype="text/plain")


def urlsplit_host(origin: str) -> str:
    """Return host and port of an origin, '' where it is none."""
    try:
        parts = urlsplit(origin)
        return parts.netloc if parts.scheme in ("http", "https") else ""
    except ValueError:
        return ""


def _policy(app: Dash) -> str:
    scripts = " ".join(
        ["'self'", *(f"'{found}'" if not found.startswith("'") else found for found in app.csp_hashes())]
    )
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {scripts}",
            # the component library and Plotly set styles on elements
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        )
    )


def _specifications(app: Dash) -> Iterable[dict[str, Any]]:
    """Return every callback that the server answers: output, outputs, inputs and state, as a browser names them."""
    # Dash moves callbacks into the app with the first request; the checks need them before it
    app._setup_server()
    for output, spec in app.callback_map.items():
        # what has no function here runs in the browser
        if "callback" in spec:
            yield {"output": output, "inputs": spec["inputs"], "state": spec["state"]}


def well_formed(body: Any, known: dict[str, dict[str, Any]]) -> bool:
    """Return whether the body of a request asks one of the known callbacks in the way that a page does."""
    if not isinstance(body, dict) or not isinstance(body.get("output"), str):
        return False
    spec = known.get(body["output"])
    if spec is None:
        return False
    changed = body.get("changedPropIds", [])
    if not isinstance(changed, list):
        return False
    names = {f"{item['id']}.{item['property']}" for item in spec["inputs"]}
    return (
        all(isinstance(name, str) and name in names for name in changed)
        and _same(body.get("inputs", []), spec["inputs"])
        and _same(body.get("state", []), spec["state"])
        and _outputs(body.get("outputs", []), body["output"])
        and _shallow(body, _DEEPEST)
    )


def _same(given: Any, wanted: list[dict[str, Any]]) -> bool:
    """Return whether the values given are of the properties wanted, one by one."""
    return (
        isinstance(given, list)
        and len(given) == len(wanted)
        and all(
            isinstance(item, dict) and (item.get("id"), item.get("property")) == (want["id"], want["property"])
            for item, want in zip(given, wanted, strict=True)
        )
    )


def _outputs(given: Any, output: str) -> bool:
    """Return whether the outputs named are those of the callback."""
    several = output.startswith("..")
    names = output.strip(".").split("...") if several else [output]
    items = given if several else [given]
    if not isinstance(items, list) or len(items) != len(names):
        return False
    for item, name in zip(items, names, strict=True):
        if not isinstance(item, dict):
            return False
        if f"{item.get('id')}.{item.get('property')}" != name.split("@")[0]:
            return False
    return True


def _shallow(value: Any, depth: int) -> bool:
    if depth == 0:
        return False
    if isinstance(value, dict):
        return all(_shallow(item, depth - 1) for item in value.values())
    if isinstance(value, list):
        return all(_shallow(item, depth - 1) for item in value)
    return True
