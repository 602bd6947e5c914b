"""Two ways to run the mean field: JAX (any device, with gradients) and a compiled loop for processors."""
