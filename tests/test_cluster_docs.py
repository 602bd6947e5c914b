"""What docs/cluster.md tells people to type is what Dask takes, and its manifests hold together."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from distributed.cli import dask_scheduler, dask_worker

PAGE = (Path(__file__).parent.parent / "docs" / "cluster.md").read_text(encoding="utf-8")
PROGRAMS = {"scheduler": dask_scheduler.main, "worker": dask_worker.main}


def blocks(language: str) -> list[str]:
    """Pieces of code of a language on the page."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def manifests() -> list[dict[str, Any]]:
    """What the page gives to Kubernetes."""
    (text,) = blocks("yaml")
    return list(yaml.safe_load_all(text))


def container(manifest: dict[str, Any]) -> dict[str, Any]:
    """The one container of a deployment or job."""
    (found,) = manifest["spec"]["template"]["spec"]["containers"]
    return dict(found)


def commands() -> list[tuple[str, list[str]]]:
    """Programs of Dask that the page starts, with their arguments."""
    text = re.sub(r"\\\n", " ", PAGE.replace("`", "\n"))
    found = [(match[1], match[2].split()) for match in re.finditer(r"dask (scheduler|worker)( [^\n&\"]*)", text)]
    for manifest in manifests():
        if manifest["kind"] == "Deployment":
            _, program, *arguments = container(manifest)["command"]
            found.append((program, arguments))
    return found


def test_page_starts_both_programs() -> None:
    assert len(commands()) >= 6
    assert {program for program, _ in commands()} == set(PROGRAMS)


@pytest.mark.parametrize(("program", "arguments"), commands())
def test_options_are_known(program: str, arguments: list[str]) -> None:
    known = {name for parameter in PROGRAMS[program].params for name in (*parameter.opts, *parameter.secondary_opts)}
    assert [word for word in arguments if word.startswith("--") and word.strip(":,") not in known] == []
    assert isinstance(PROGRAMS[program], click.Command)


def test_manifests_hold_together() -> None:
    by_kind = {(manifest["kind"], manifest["metadata"]["name"]): manifest for manifest in manifests()}
    scheduler, worker = by_kind["Deployment", "kapsim-scheduler"], by_kind["Deployment", "kapsim-worker"]
    service, job = by_kind["Service", "kapsim-scheduler"], by_kind["Job", "kapsim-trial"]
    for deployment in (scheduler, worker):
        assert deployment["spec"]["selector"]["matchLabels"] == deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"] == scheduler["spec"]["template"]["metadata"]["labels"]
    (port,) = service["spec"]["ports"]
    assert port["targetPort"] == container(scheduler)["ports"][0]["containerPort"]
    address = f"tcp://{service['metadata']['name']}:{port['port']}"
    assert address in container(worker)["command"]
    assert container(job)["command"][-2:] == ["--scheduler", address]
    assert "--resume" in container(job)["command"]
    pod = job["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert {mount["name"] for mount in container(job)["volumeMounts"]} == set(volumes)
    claim = volumes["results"]["persistentVolumeClaim"]["claimName"]
    assert ("PersistentVolumeClaim", claim) in by_kind
    for manifest in (scheduler, worker, job):
        assert all(isinstance(word, str) for word in container(manifest)["command"])
