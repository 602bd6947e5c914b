"""Builds what is released, and tries it where there is nothing else.

python scripts/release.py                        wheel, source distribution and bill of materials in dist/
python scripts/release.py --try                  then install the wheel in a bare environment and run it there
python scripts/release.py --try --python 3.13    with another Python, that uv finds or fetches; may be repeated

The bill of materials (CycloneDX) lists what `requirements/demo.lock` pins, with hashes. The trial installs those very
versions, and runs in an empty folder with nothing of this checkout in its path. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
UV = str(Path(sys.executable).with_name("uv"))
PROTOCOL = "kap_six_sessions"


def build(out: Path) -> tuple[Path, Path]:
    """Build the source distribution, and the wheel from that; return wheel and source distribution."""
    out.mkdir(parents=True, exist_ok=True)
    command = [UV, "build", "--quiet", "--no-build-isolation", "--python", sys.executable, "--out-dir", str(out)]
    subprocess.run([*command, str(ROOT)], check=True)
    version = _version()
    return out / f"kapsim-{version}-py3-none-any.whl", out / f"kapsim-{version}.tar.gz"


def bill_of_materials(out: Path) -> Path:
    """Write the bill of materials with the tool that `requirements/release.lock` pins, in an environment of its own."""
    target = out / f"kapsim-{_version()}.cdx.json"
    with tempfile.TemporaryDirectory() as folder:
        python = _environment(Path(folder) / "tool", sys.executable, "release.lock")
        command = [str(python.with_name("cyclonedx-py")), "requirements", "--pyproject", "pyproject.toml"]
        command += ["--mc-type", "library", "--of", "JSON", "--output-reproducible", "requirements/demo.lock"]
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    content = json.loads(done.stdout)
    # pyproject.toml leaves the version to the package
    content["metadata"]["component"]["version"] = _version()
    target.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return target


def try_out(wheel: Path, python: str) -> dict[str, Any]:
    """Install the wheel in a bare environment and run it in an empty folder.

    Parameters
    ----------
    wheel : Path
    python : str
        As uv takes it: a version or a path.

    Returns
    -------
    dict
        The version of Python, what `--version` said, and the seconds of each step.
    """
    found: dict[str, Any] = {"python": python}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start = time.perf_counter()
        own = _environment(folder / "env", python, "demo.lock")
        command = [UV, "pip", "install", "--quiet", "--python", str(own), "--no-deps", str(wheel)]
        subprocess.run(command, check=True)
        found["install_s"] = round(time.perf_counter() - start, 1)
        empty = folder / "empty"
        empty.mkdir()
        # nothing of this checkout, and no compiled program of another run
        surroundings = {"PATH": f"{own.parent}:/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8"}

        def run(*words: str) -> str:
            begin = time.perf_counter()
            done = subprocess.run(
                [str(own.with_name("kapsim")), *words],
                cwd=empty,
                env=surroundings,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise SystemExit(f"kapsim {' '.join(words)} ended with {done.returncode}: {done.stderr or done.stdout}")
            found[f"{words[0].strip('-')}_s"] = round(time.perf_counter() - begin, 1)
            return done.stdout

        found["version"] = run("--version").strip()
        run("run", PROTOCOL, "--out", "results")
        left = sorted(path.name for path in (empty / "results").iterdir())
        if left != ["report.html", "results.nc"]:
            raise SystemExit(f"kapsim run {PROTOCOL} left {left}")
        doctor = json.loads(run("doctor", "--json"))
        found["python"] = doctor["python"].split(",")[0]
        found["fine"] = doctor["fine"]
        parts = doctor["reference"]["parts"]
        found["largest_difference"] = max(part["largest_difference"] for part in parts.values())
    return found


def _environment(folder: Path, python: str, lock: str) -> Path:
    """Return the Python of a new environment that holds what a lock pins, and nothing else."""
    quiet = {key: value for key, value in os.environ.items() if key not in ("VIRTUAL_ENV", "PYTHONPATH")}
    made = subprocess.run(
        [UV, "venv", "--quiet", "--python", python, str(folder)], env=quiet, capture_output=True, text=True, check=False
    )
    if made.returncode:
        said = " ".join(made.stderr.partition("error: ")[2].split())[:200]
        raise SystemExit(f"no environment with Python {python} ({said}); give a version that uv finds, or a path to it")
    own = folder / "bin" / "python"
    command = [UV, "pip", "install", "--quiet", "--python", str(own), "--require-hashes", "--only-binary", ":all:"]
    subprocess.run([*command, "-r", str(ROOT / "requirements" / lock)], check=True, env=quiet)
    return own


def _version() -> str:
    from kapsim._version import __version__

    return __version__


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder for what is built [dist]")
    parser.add_argument("--try", dest="tried", action="store_true", help="install the wheel elsewhere and run it")
    parser.add_argument("--python", action="append", help="Python to try it with; this one if left out")
    options = parser.parse_args()
    wheel, source = build(options.out)
    made = [wheel, source, bill_of_materials(options.out)]
    for path in made:
        print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB")
    trials = []
    for python in (options.python or [sys.executable]) if options.tried else ():
        trials.append(try_out(wheel, python))
        print(trials[-1], flush=True)
    print(json.dumps({"built": [path.name for path in made], "trials": trials}))
    return 0 if all(item["fine"] for item in trials) else 1


if __name__ == "__main__":
    sys.exit(main())
