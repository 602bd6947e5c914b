"""What reaches the explorer's server over the wire: hosts, origins, sizes, headers, and requests made to harm."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import Client, TestResponse

from kapsim.app import brain_page, guard, solving, trial_page
from kapsim.app.server import make_app
from kapsim.app.solving import Desk
from kapsim.app.trial_design import TrialControls
from kapsim.errors import SolverError
from kapsim.statements import DISCLAIMER, LIMITS_OF_USE, SAFE_MESSAGING

HOST = "127.0.0.1:8050"
BASE = f"http://{HOST}"
PAGES = ("/", "/story", "/brain", "/trial", "/evidence")
MANY = settings(
    max_examples=150,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
TRACE = ("Traceback", 'File "', "site-packages", "werkzeug")


@pytest.fixture(scope="module")
def app() -> Iterator[Any]:
    """The explorer, whose courses cannot be solved: what is tested is all that stands before that."""

    def broken(found: Any) -> Any:
        raise SolverError(0, 1.0, "mood.depression")

    desk, slow = Desk(), Desk()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(solving, "_simulate", broken)
        for module, name in ((brain_page, "around_dose"), (trial_page, "conduct")):
            patch.setattr(module, name, broken)
        yield make_app(desk, slow, [HOST])
    desk.close()
    slow.close()


@pytest.fixture(scope="module")
def client(app: Any) -> Client:
    return app.server.test_client()


def get(client: Client, path: str, **more: Any) -> TestResponse:
    return client.get(path, base_url=BASE, buffered=True, **more)


def post(client: Client, body: Any, path: str = guard.CALLBACKS, **more: Any) -> TestResponse:
    data = body if isinstance(body, (bytes, str)) else json.dumps(body)
    return client.post(path, data=data, base_url=BASE, content_type="application/json", **more)


def fine(answer: TestResponse) -> None:
    """No answer is a breakdown, and none tells of the inside."""
    text = answer.get_data(as_text=True)
    assert answer.status_code < 500, text[:300]
    if answer.status_code >= 400:
        assert text.count("\n") == 1, text[:300]
    assert not any(word in text[:2000] for word in TRACE), text[:300]


def asked_of(app: Any) -> list[str]:
    """The callbacks that a browser asks the server for; others run in the browser itself."""
    return sorted(output for output, spec in app.callback_map.items() if "callback" in spec)


def body_of(app: Any, output: str, values: dict[str, Any]) -> dict[str, Any]:
    """A request as a page makes it; `values` by id."""
    spec = app.callback_map[output]

    def filled(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**{k: item[k] for k in ("id", "property")}, "value": values.get(item["id"])} for item in items]

    names = output.strip(".").split("...")
    outputs = [dict(zip(("id", "property"), name.rsplit(".", 1), strict=True)) for name in names]
    return {
        "output": output,
        "outputs": outputs if output.startswith("..") else outputs[0],
        "inputs": filled(spec["inputs"]),
        "state": filled(spec["state"]),
        "changedPropIds": [],
    }


@pytest.mark.parametrize("path", [*PAGES, "/_dash-layout", "/_dash-dependencies", "/assets/kapsim.js", "/nowhere"])
def test_every_answer_carries_the_headers(client: Client, path: str) -> None:
    answer = get(client, path)
    fine(answer)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy
    assert "'unsafe-inline'" not in policy.partition("script-src")[2].partition(";")[0]
    assert "http" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "Set-Cookie" not in answer.headers


def test_every_page_carries_the_statements(client: Client) -> None:
    # one frame goes around every page
    text = json.loads(get(client, "/_dash-layout").data)
    shown = json.dumps(text, ensure_ascii=False)
    assert DISCLAIMER in shown
    for item in (*LIMITS_OF_USE, *SAFE_MESSAGING):
        assert json.dumps(item.text, ensure_ascii=False)[1:-1] in shown


def test_a_page_names_no_other_host(client: Client) -> None:
    page = get(client, "/").get_data(as_text=True)
    assert "http://" not in page
    assert "https://" not in page


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:1", "127.0.0.1", "localhost.evil.example:8050"])
def test_an_unknown_host_is_refused(client: Client, host: str) -> None:
    answer = client.get("/", headers={"Host": host})
    assert answer.status_code == 400
    assert answer.get_data(as_text=True) == "400: unknown host\n"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:9", "http://[", "file://x"])
def test_a_request_of_another_site_is_refused(app: Any, client: Client, origin: str) -> None:
    body = body_of(app, "main.children", {"url": "/"})
    assert post(client, body, headers={"Origin": origin}).status_code == 403
    assert post(client, body, headers={"Origin": BASE}).status_code == 200
    other = get(client, "/export/protocol.yaml", headers={"Sec-Fetch-Site": "cross-site"})
    assert other.status_code == 403


def test_a_large_body_is_refused(client: Client) -> None:
    assert post(client, b"x" * (guard.MOST_BYTES + 1)).status_code in (400, 413)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE"])
def test_other_methods_are_refused(client: Client, method: str) -> None:
    assert client.open("/", method=method, base_url=BASE).status_code == 405


HOSTILE = (None, True, -1, 1e308, [], [[]], {}, {"a": {}}, "", "\x00", "../..", "x" * 5000, [1, "a", None], 10**30)


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: repr(value)[:12])
def test_every_input_bears_every_kind_of_value(app: Any, client: Client, value: Any) -> None:
    from kapsim.app.controls import FIRST, preset_controls

    usual = preset_controls(FIRST).model_dump()
    good = {f"{prefix}-{name}": item for prefix in "ab" for name, item in usual.items()}
    good |= {"window": "weeks", "compare": True, "url": "/evidence", "story-course": FIRST, "story-solved": FIRST}
    good |= {"evidence-kind": "observed", "evidence-status": "any", "evidence-page": 1, "evidence-text": "a"}
    good |= {"brain-course": "single_infusion", "brain-moment": "during", "predicted-domain": "acute"}
    trial = TrialControls().model_dump()
    good |= {"trial-asked": trial, **{f"trial-{name}": item for name, item in trial.items()}}
    for output in asked_of(app):
        spec = app.callback_map[output]
        # one at a time, so that no other stops it before it is looked at
        for item in (*spec["inputs"], *spec["state"]):
            fine(post(client, body_of(app, output, {**good, item["id"]: value})))


def test_a_page_can_ask_all_that_it_asks(app: Any, client: Client) -> None:
    for path in PAGES:
        answer = post(client, body_of(app, "main.children", {"url": path}))
        assert answer.status_code == 200, path
    assert "Course" in post(client, body_of(app, "main.children", {"url": "/"})).get_data(as_text=True)


def test_what_cannot_be_solved_is_told_in_a_line(app: Any, client: Client) -> None:
    from kapsim.app.controls import FIRST, preset_controls

    usual = preset_controls(FIRST).model_dump()
    values = {f"{prefix}-{name}": value for prefix in "ab" for name, value in usual.items()}
    output = next(name for name in app.callback_map if name.startswith("..course.figure"))
    values |= {"window": "weeks", "compare": False}
    answer = post(client, body_of(app, output, values))
    assert answer.status_code == 200
    assert "patient 0 broke down" in answer.get_data(as_text=True)
    refused = post(client, body_of(app, output, {**values, "a-per_kg": 1e9}))
    assert "per_kg: Input should be less than or equal to 3" in refused.get_data(as_text=True)


def test_exports_answer_or_say_why(client: Client) -> None:
    answer = get(client, "/export/protocol.yaml?preset=single_infusion&weight=80.0")
    assert answer.status_code == 200
    assert "name: single_infusion" in answer.get_data(as_text=True)
    assert "attachment" in answer.headers["Content-Disposition"]
    for query in ("preset=nothing", "doses=x", "per_kg=nan", "a=1", "preset=a&preset=b", "weeks=1&doses=20&every=7"):
        answer = get(client, f"/export/protocol.yaml?{query}")
        assert answer.status_code == 400, query
        fine(answer)
    assert get(client, "/export/passwd").status_code == 404


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@given(st.data())
@MANY
def test_any_values_in_a_request_of_a_page(app: Any, client: Client, data: st.DataObject) -> None:
    output = data.draw(st.sampled_from(asked_of(app)))
    spec = app.callback_map[output]
    ids = [item["id"] for item in (*spec["inputs"], *spec["state"])]
    values = {name: data.draw(JSON) for name in ids}
    fine(post(client, body_of(app, output, values)))


@given(st.data())
@MANY
def test_any_damage_to_a_request_of_a_page(app: Any, client: Client, data: st.DataObject) -> None:
    output = data.draw(st.sampled_from(asked_of(app)))
    body = body_of(app, output, {})
    for key in data.draw(st.lists(st.sampled_from(sorted(body)), min_size=1, max_size=3)):
        if data.draw(st.booleans()):
            body.pop(key, None)
        else:
            body[key] = data.draw(JSON)
    body |= data.draw(st.dictionaries(st.text(max_size=8), JSON, max_size=2))
    fine(post(client, body))


@given(st.binary(max_size=300) | JSON.map(json.dumps), st.sampled_from([guard.CALLBACKS, "/", "/_dash-layout", "/x"]))
@MANY
def test_any_bytes_as_a_request(client: Client, body: Any, path: str) -> None:
    fine(post(client, body, path))


@given(
    st.text(max_size=60),
    st.sampled_from(["/", "/export/", "/assets/", "/_dash-component-suites/", "/evidence?record="]),
)
@MANY
def test_any_path_and_query(client: Client, text: str, start: str) -> None:
    from urllib.parse import quote

    fine(get(client, start + quote(text, safe="/.?&=%")))


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../server.py",
        "/assets/%2e%2e/server.py",
        "/_dash-component-suites/os/../../etc/passwd",
        "/_dash-component-suites/dash/../../../etc/passwd",
        "/static/../app.py",
        "/?preset=%00",
        "/?" + "a=1&" * 2000,
        "/evidence?record=<script>alert(1)</script>",
    ],
)
def test_known_attacks_find_nothing(client: Client, path: str) -> None:
    answer = get(client, path)
    fine(answer)
    assert b"root:" not in answer.data
    assert b"def make_app" not in answer.data


def test_a_breakdown_is_told_without_its_inside(app: Any, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from kapsim.app import address

    def broken(query: str) -> Any:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(address, "read", broken)
    answer = get(client, "/export/protocol.yaml")
    assert answer.status_code == 500
    assert answer.get_data(as_text=True) == "500: the server could not answer; its log says why\n"
