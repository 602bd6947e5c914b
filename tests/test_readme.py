"""What the README shows is what the program prints."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def test_the_example_prints_what_is_shown(tmp_path: Path) -> None:
    code = re.search(r"```python\n(.*?)```", README, re.S)
    shown = re.search(r"prints\n\n```\n(.*?)```", README, re.S)
    assert code is not None
    assert shown is not None
    ran = subprocess.run([sys.executable, "-c", code[1]], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert ran.stdout == shown[1]
    assert (tmp_path / "mood.html").stat().st_size > 1000


def test_every_linked_file_exists() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (Path(__file__).parent.parent / target).exists(), target
