"""The errors kapsim raises: each is one clear line saying what, where, and what would be right."""

from __future__ import annotations


class KapsimError(Exception):
    """Base of every error that kapsim raises on purpose."""

    exit_status = 1


class InputError(KapsimError):
    """Something a person gave (a file, a name, an option) cannot be used; the command line exits with 2."""

    exit_status = 2


class SolverError(KapsimError):
    """A simulation failed for a patient.

    Parameters
    ----------
    patient : int
        Index of the patient for whom the solution broke down.
    time_h : float
        Time in hours of the last valid state.
    state : str
        Name of the first state that was not finite.
    """

    def __init__(self, patient: int, time_h: float, state: str) -> None:
        self.patient, self.time_h, self.state = patient, time_h, state
        super().__init__(
            f"the solution of patient {patient} broke down after {time_h:.4g} h ({state} is not finite); "
            "check that patient's parameters, or report it with the seed"
        )


class FixedPointError(KapsimError):
    """A resting state of the cortex does not hold, or cannot be followed to where it was to go."""
