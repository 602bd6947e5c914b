"""The chain from glutamate to mood against the trials: a joint posterior of what its links leave open."""
