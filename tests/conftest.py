"""What holds for every test."""

from hypothesis import settings

# wall time is that of the machine, with all that it does besides
settings.register_profile("kapsim", deadline=None)
settings.load_profile("kapsim")
