"""What there is to run on: the cores, and JAX set up once, in float64 and with compiled programs kept on disk.

jax 0.10 refuses to store a program that holds a host callback (jax issue 38405). The solver therefore has none: it
never raises inside, and whoever calls it checks that the result is finite.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any


@functools.cache
def jax_numpy() -> Any:
    """Import and configure JAX on first use; return `jax`."""
    import jax

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_compilation_cache_dir", str(jax_cache_folder()))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return jax


def jax_cache_folder() -> Path:
    """Return the folder that JAX keeps compiled programs in."""
    from platformdirs import user_cache_path

    given = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    return Path(given) if given else user_cache_path("kapsim")


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
