"""Work in shards that loses nothing: each is stored once it is done, and a run that was stopped anywhere goes on.

A shard is a number from which a pure function computes columns. Where and in what order shards are computed does not
show in what is stored. The room knows nothing of what the columns mean.
"""

from kapsim.runs.reading import RunRecord, Shard, inspect_run, read
from kapsim.runs.run import Run
from kapsim.runs.schedulers import map_shards

__all__ = ["Run", "RunRecord", "Shard", "inspect_run", "map_shards", "read"]
