"""What holds for every test."""

from hypothesis import settings

# wall time is that of the machine, with all that it does besides
settings.register_profile("kapsim", deadline=None)
settings.load_profile("kapsim")

#: Files that take longest come first: each is one worker's, and what is left at the end should be short.
LONGEST = (
    "test_app_browser", "test_sbml", "test_solver", "test_explain", "test_validate", "test_brain_command",
    "test_trial_run", "test_chain_inference", "test_surface", "test_site", "test_brain_moments",
)  # fmt: skip


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))
