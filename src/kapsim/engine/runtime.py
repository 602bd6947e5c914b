"""What there is to run on: the cores, and JAX set up once, in float64 and with compiled programs kept on disk.

jax 0.10 refuses to store a program that holds a host callback (jax issue 38405). The solver therefore has none: it
never raises inside, and whoever calls it checks that the result is finite.
"""

from __future__ import annotations

import functools
import os
from typing import Any


@functools.cache
def jax_numpy() -> Any:
    """Import and configure JAX on first use; return `jax`."""
    import jax
    from platformdirs import user_cache_dir

    jax.config.update("jax_enable_x64", True)
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        jax.config.update("jax_compilation_cache_dir", user_cache_dir("kapsim"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return jax


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
