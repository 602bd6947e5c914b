"""Run the command line as ``python -m kapsim``."""

from __future__ import annotations

import sys

from kapsim.cli import main

if __name__ == "__main__":
    sys.exit(main())
