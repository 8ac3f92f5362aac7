"""Reference policies of ``medsim/Glucose-v0``."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.core.vector import PatientVectorEnv
from medsim.policies.clairvoyant import ClairvoyantPolicy
from medsim.policies.policy import NamedColumns, Policy, RandomPolicy

Array = npt.NDArray[Any]
DOSES: Mapping[str, Any] = {"action": "continuous", "bolus": True}


class DosingPolicy:
    """Base of the policies that order doses."""

    name = ""
    options: Mapping[str, Any] = DOSES

    def begin(self, env: PatientVectorEnv) -> None:
        """Learn the observation's names."""
        self.read = NamedColumns(env)
        self.step_min = env.task.step_h * 60.0
        self.most = np.asarray(env.single_action_space.high, dtype=np.float64)  # type: ignore[attr-defined]

    def order(self, basal_u_per_h: Array, bolus_u: Array | float = 0.0) -> Array:
        """Return the action, within its space."""
        doses = np.column_stack([basal_u_per_h, np.broadcast_to(bolus_u, basal_u_per_h.shape)])
        return np.asarray(np.clip(doses, 0.0, self.most))


class NoInsulin(DosingPolicy):
    """The pump is off: no treatment."""

    name = "no-insulin"

    def act(self, observations: Array) -> Array:
        """Return zeros."""
        return self.order(np.zeros(len(observations)))


class FixedBasal(DosingPolicy):
    """The patient's own basal rate, whatever happens."""

    name = "fixed-basal"

    def act(self, observations: Array) -> Array:
        """Return the basal rate."""
        return self.order(self.read(observations, "own_basal_u_per_h"))


CORRECT_ABOVE_MG_PER_DL, CORRECT_TO_MG_PER_DL = 150.0, 140.0  # simglucose, basal_bolus_ctrller.py


class BasalBolus(DosingPolicy):
    """What people with a pump do: own basal rate, and at each meal a bolus by carbohydrate counting, with a correction.

    Bolus = carbohydrate / ratio, plus (glucose - 140) / correction factor less the insulin on board if glucose is above 150 mg/dL:
    insulin on board is taken from the correction, never from the meal (as pumps' bolus calculators do).
    """

    name = "basal-bolus"

    def act(self, observations: Array) -> Array:
        """Return basal rate and bolus."""
        carbs, cgm = self.read(observations, "announced_carbs_g"), self.read(observations, "cgm_mg_per_dl")
        meal = carbs / self.read(observations, "carb_ratio_g_per_u")
        excess = (cgm - CORRECT_TO_MG_PER_DL) / self.read(observations, "correction_mg_per_dl_per_u")
        correction = np.maximum(excess - np.maximum(self.read(observations, "insulin_on_board_u"), 0.0), 0.0)
        bolus = np.where(carbs > 0.0, meal + np.where(cgm > CORRECT_ABOVE_MG_PER_DL, correction, 0.0), 0.0)
        return self.order(self.read(observations, "own_basal_u_per_h"), bolus)


class PidInsulinFeedback(DosingPolicy):
    """A closed loop without meal announcement: proportional, integral, derivative, and feedback of the insulin given.

    Structure, filter and gains as used by Ruiz et al., J Diabetes Sci Technol 2012;6:1123-1130 (constants read in two texts that
    quote it): target 120 mg/dL; K_P = daily insulin / 2250 U/h per mg/dL; T_I 150 min; T_D 75 min by day, 40 min by night;
    the integral no higher than three times basal, and no higher than basal below 60 mg/dL.
    """

    name = "pid-ifb"
    TARGET_MG_PER_DL, LOW_MG_PER_DL = 120.0, 60.0
    DAILY_INSULIN_H = 24.0 / 0.47  # daily insulin from the basal rate: basal is 0.47 of it, Davidson et al., Endocr Pract 2008;14:1095-1101
    INTEGRAL_MIN, DERIVATIVE_DAY_MIN, DERIVATIVE_NIGHT_MIN = 150.0, 75.0, 40.0
    GAMMA = np.array([0.64935, 0.34128, 0.0093667])
    FILTER = np.array([[0.9802, 0.0, 0.0], [0.014043, 0.98582, 0.0], [0.000127, 0.017889, 0.98198]])  # one minute
    INPUT = np.array([1.1881, 0.0084741, 0.00005])  # of insulin in U in that minute

    def begin(self, env: PatientVectorEnv) -> None:
        """Start at rest: the filter filled by the basal rate."""
        super().begin(env)
        self.integral: Array | None = None
        self.filled: Array | None = None

    def act(self, observations: Array) -> Array:
        """Return the loop's rate."""
        basal, cgm = self.read(observations, "own_basal_u_per_h"), self.read(observations, "cgm_mg_per_dl")
        if self.integral is None or self.filled is None:
            self.integral = basal.copy()
            self.filled = np.linalg.solve(np.eye(3) - self.FILTER, self.INPUT)[:, None] * basal / 60.0
        gain = basal * self.DAILY_INSULIN_H / 2250.0
        error = cgm - self.TARGET_MG_PER_DL
        ceiling = np.where(cgm < self.LOW_MG_PER_DL, basal, 3.0 * basal)
        self.integral = np.clip(self.integral + gain / self.INTEGRAL_MIN * error * self.step_min, 0.0, ceiling)
        slope = (cgm - self.read(observations, "cgm_15_min_ago_mg_per_dl")) / 15.0
        hour = self.read(observations, "hour_of_day")
        lead = np.where((hour >= 6.0) & (hour < 22.0), self.DERIVATIVE_DAY_MIN, self.DERIVATIVE_NIGHT_MIN)
        pid = gain * error + self.integral + gain * lead * slope
        rate = np.clip((1.0 + self.GAMMA.sum()) * pid - self.GAMMA @ self.filled, 0.0, np.minimum(10.0 * basal, self.most[0]))
        for _ in range(round(self.step_min)):
            self.filled = self.FILTER @ self.filled + self.INPUT[:, None] * rate / 60.0
        return self.order(rate)


POLICIES: dict[str, Callable[[], Policy]] = {
    "random": RandomPolicy,
    "no-insulin": NoInsulin,
    "fixed-basal": FixedBasal,
    "basal-bolus": BasalBolus,
    "pid-ifb": PidInsulinFeedback,
    "clairvoyant": ClairvoyantPolicy,
}
