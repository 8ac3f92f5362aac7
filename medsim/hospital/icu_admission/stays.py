"""How long patients stay, and how far those have come whom one finds in their beds."""

from dataclasses import dataclass

from medsim.core.portable import exp
from medsim.hospital.draws import START, STAY, Draws, category_of, lognormal_parameters
from medsim.hospital.theory.birth_death import birth_death

__all__ = ["StayLaw", "busy_at_start"]


@dataclass(frozen=True, kw_only=True)
class StayLaw:
    """A distribution of stays: ``exponential``, ``lognormal`` or ``fixed``; hours."""

    shape: str
    mean_h: float
    sd_h: float = 0.0  # of the lognormal one

    def stay_h(self, draws: Draws, who: int, visit: int = 0) -> float:
        """Return the stay of a patient's visit."""
        if self.shape == "exponential":
            return draws.exponential(STAY, who, visit, mean=self.mean_h)
        if self.shape == "fixed":
            return self.mean_h
        return draws.lognormal(STAY, who, visit, mean=self.mean_h, sd=self.sd_h)

    def in_progress_h(self, draws: Draws, who: int) -> tuple[float, float]:
        """Return how long a patient found in a bed has been there, and will still be.

        Long stays are found more often: a stay is met with a probability in proportion to its length, at a uniform moment of it. Of a
        lognormal stay the logarithm's mean is then larger by its variance; both parts of an exponential one are as long as a whole.
        """
        u = draws.uniform(START, who, 1)
        if self.shape == "exponential":
            return draws.exponential(START, who, 2, mean=self.mean_h), draws.exponential(START, who, 3, mean=self.mean_h)
        whole_h = self.mean_h
        if self.shape == "lognormal":
            _, sigma = lognormal_parameters(self.mean_h, self.sd_h)
            whole_h = draws.lognormal(START, who, 2, mean=self.mean_h, sd=self.sd_h) * exp(sigma * sigma)
        return (1.0 - u) * whole_h, u * whole_h


def busy_at_start(draws: Draws, load: float, beds: int) -> int:
    """Return how many beds are busy at first: drawn from the steady state of admitting everybody, a Poisson number cut at the beds."""
    probabilities = birth_death([load] * beds, [float(n) for n in range(1, beds + 1)])
    return category_of(draws.uniform(START, 0), tuple(probabilities))
