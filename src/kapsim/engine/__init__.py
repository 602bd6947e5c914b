"""How the equations are solved: time grid, exact linear kinetics, exponential integrator. Knows nothing of ketamine."""
