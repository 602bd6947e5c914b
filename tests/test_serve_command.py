"""`kapsim serve`: what it says where it cannot serve, and that it serves on this machine alone by default."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import urllib.request
from importlib import util

import pytest

from kapsim.cli import main, serving


def test_without_the_extra_it_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(serving, "find_spec", lambda name: None if name == "dash" else util.find_spec(name))
    assert main(["serve"]) == 2
    error = capsys.readouterr().err
    assert error == "kapsim: error: the explorer needs dash; get it with: pip install 'kapsim[web]'\n"


def test_another_host_needs_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--host", "0.0.0.0"]) == 2
    error = capsys.readouterr().err
    assert "--allow-remote" in error
    assert error.count("\n") == 1


def test_another_host_is_warned_of(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from kapsim.app import server

    asked = []
    monkeypatch.setattr(server, "serve", lambda host, port, ready: asked.append((host, port)))
    assert main(["serve", "--host", "0.0.0.0", "--allow-remote", "--port", "0"]) == 0
    assert asked == [("0.0.0.0", 0)]
    assert "no password and no encryption" in capsys.readouterr().err


def test_a_port_in_use_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["serve", "--port", str(port)]) == 2
    error = capsys.readouterr().err
    assert error == (
        f"kapsim: error: 127.0.0.1:{port}: address already in use; give another port with --port, "
        "or stop what listens there\n"
    )


@pytest.mark.parametrize("port", ["-1", "70000", "eighty"])
def test_an_impossible_port_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--port", port]) == 2
    assert "--port" in capsys.readouterr().err


def test_it_serves_until_interrupted() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "kapsim", "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().split()[2]
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(address, timeout=120) as answer:
            assert answer.status == 200
            assert "Server" not in answer.headers
    finally:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "Traceback" not in err
