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


class RunError(KapsimError):
    """A run in shards cannot go on: the work of a shard failed, or kept killing its worker.

    Parameters
    ----------
    message : str
    exit_status : int, optional
        What the command line leaves with; where an error of kapsim's own stopped the work, that of the error.
    """

    def __init__(self, message: str, exit_status: int = 1) -> None:
        self.exit_status = exit_status
        super().__init__(message)


class StoppedError(KapsimError):
    """Someone stopped a run on purpose, and what was finished is kept.

    Parameters
    ----------
    message : str
    signal_number : int
        The signal that stopped it; the command line leaves with 128 plus this number, as shells expect.
    """

    def __init__(self, message: str, signal_number: int) -> None:
        self.exit_status = 128 + signal_number
        super().__init__(message)
