"""Benefit and harm: the risk of a glucose value, the reward's terms, the costs by name, and when an episode ends."""

from typing import NamedTuple

from medsim.core.inlining import compiled_once
from medsim.core.portable import fmin, log, power, where
from medsim.treatments.glucose.model import Memory, Params, Settings, State, Watch, plasma_glucose_mg_per_dl, subcutaneous_glucose_mg_per_dl

OUTCOMES = ("", "day_completed", "severe_hypoglycaemia", "glucose_above_600", "glucose_below_10")
COMPLETED, SEVERE_HYPOGLYCAEMIA, ABOVE_600, BELOW_10 = 1.0, 2.0, 3.0, 4.0
ONGOING, TERMINATED, TRUNCATED = 0.0, 1.0, 2.0
SEVERE_MINUTES = 15.0  # chosen: below 40 mg/dL for this long ends the episode; the ADA's level 3 has no threshold in glucose
HIGHEST_MG_PER_DL = 600.0  # end of the scale that the risk function was fitted on
COMPAT_LOWEST_MG_PER_DL = 10.0  # simglucose env.py
RISK_CAP = 100.0  # the risk at 20 and at 600 mg/dL, the ends of the fitted scale


class RewardTerms(NamedTuple):
    """The reward is their sum."""

    risk: float
    early_end: float


class Costs(NamedTuple):
    """Harm in one step; the first three are 1 in a step that ends there, the last is in units of insulin."""

    glucose_below_54: float
    glucose_below_70: float
    glucose_above_250: float
    insulin_above_limit_u: float


class Measures(NamedTuple):
    """What a reviewer plots and measures; hidden from the agent."""

    glucose_mg_per_dl: float
    cgm_mg_per_dl: float
    basal_u_per_h: float
    bolus_u: float
    insulin_delivered_u: float
    carbs_g: float


@compiled_once
def risk(glucose_mg_per_dl: float) -> float:
    """Return the blood glucose risk, 0 at 112.5 mg/dL and 100 at 20 and 600 (Kovatchev et al., Diabetes Care 1997;20:1655-1658)."""
    if glucose_mg_per_dl <= 20.0 or glucose_mg_per_dl >= HIGHEST_MG_PER_DL:
        return RISK_CAP
    f = 1.509 * (power(log(glucose_mg_per_dl), 1.084) - 5.381)
    return fmin(10.0 * f * f, RISK_CAP)


def judge(x: State, m: Memory, p: Params, s: Settings) -> tuple[Memory, RewardTerms, Costs, tuple[float, float, float]]:
    """Judge a step at its end: memory, reward terms, costs, and (ended, outcome's number, its time in hours)."""
    glucose = plasma_glucose_mg_per_dl(x, p)
    costs = Costs(where(glucose < 54.0, 1.0, 0.0), where(glucose < 70.0, 1.0, 0.0), where(glucose > 250.0, 1.0, 0.0), m.pump.over_limit_u)
    if s.compat > 0.0:
        mean = (m.watch.glucose_sum + subcutaneous_glucose_mg_per_dl(x, p)) / s.intervals
        low, high, outcome_low = mean < COMPAT_LOWEST_MG_PER_DL, mean > HIGHEST_MG_PER_DL, BELOW_10
        now = risk(m.sensor.cgm)
        terms, watch = RewardTerms(m.watch.risk - now, 0.0), Watch(0.0, 0.0, now)
    else:
        low, high, outcome_low = m.watch.low_minutes >= SEVERE_MINUTES, glucose > HIGHEST_MG_PER_DL, SEVERE_HYPOGLYCAEMIA
        terms, watch = RewardTerms(-risk(glucose) / RISK_CAP, 0.0), m.watch
    ended, outcome = ONGOING, 0.0
    if m.clock.step >= s.horizon_steps:
        ended, outcome = TRUNCATED, COMPLETED
    if high:
        ended, outcome = TERMINATED, ABOVE_600
    if low:
        ended, outcome = TERMINATED, outcome_low
    if ended == TERMINATED and s.compat == 0.0 and s.early_end_penalty > 0.0:
        terms = RewardTerms(terms.risk, m.clock.step - s.horizon_steps)  # the capped risk, for every step not lived
    memory = Memory(m.clock, m.pump, m.schedule, m.plate, m.word, m.sensor, watch)
    return memory, terms, costs, (ended, outcome, m.clock.minute / 60.0)


def measure(x: State, m: Memory, p: Params, s: Settings) -> Measures:
    """Return what happened in the step, as it was."""
    glucose = plasma_glucose_mg_per_dl(x, p)
    delivered = m.pump.delivered_u_per_min * where(m.clock.step > 0.0, s.step_min, 0.0)
    return Measures(glucose, m.sensor.cgm, m.pump.basal_u_per_h, m.pump.bolus_u, delivered, m.plate.begun_g)
