"""``medsim/Glucose-v0``: insulin dosing in type 1 diabetes."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from medsim.core.environment import ConfiguredEnv
from medsim.core.options import choice, parse_options, switch, within
from medsim.core.task import Panel, Task
from medsim.core.vector import ConfiguredVectorEnv
from medsim.treatments.glucose.definition import GLUCOSE
from medsim.treatments.glucose.metrics import glucose_metrics
from medsim.treatments.glucose.model import BASAL_MULTIPLES, BOLUS_HOURS, NO_MEAL, Settings
from medsim.treatments.glucose.population import GROUPS
from medsim.treatments.glucose.provenance import CITATION, provenance

__all__ = ["GlucoseConfig", "GlucoseEnv", "GlucoseVectorEnv", "glucose_task"]

COHORT_ROWS = {"train": (0.0, 5.0), "test": (5.0, 8.0), "shifted": (8.0, 10.0)}  # base patients of each group of ten
COHORT_SPREAD_CV = {"train": 0.10, "test": 0.10, "shifted": 0.20}  # chosen: published spreads between patients are wider still
MOST_DOSES = (20.0, 20.0)  # chosen: highest U/h and U of the continuous action; the pump's own limit lies below for most patients
COMPAT_MOST_U_PER_MIN = 30.0  # simglucose's action space
SHARE = (0.01, 0.999)
PATIENT_LIMITS = {
    "b": SHARE, "d": SHARE, "f": (0.01, 1.0), "weight_kg": (5.0, 300.0), "carb_ratio_g_per_u": (0.5, 300.0),
    "correction_mg_per_dl_per_u": (0.5, 600.0),
}  # chosen: what the equations and the observation's space can hold  # fmt: skip

PANELS = (
    Panel(
        title="glucose, mg/dL",
        lines={"glucose_mg_per_dl": "plasma glucose", "cgm_mg_per_dl": "monitor"},
        wanted=(70.0, 180.0),
        limits=(30.0, 420.0),
    ),
    Panel(title="basal, U/h", lines={"basal_u_per_h": "basal rate"}),
    Panel(title="bolus, U", bars={"bolus_u": "bolus"}),
    Panel(title="meals, g", bars={"carbs_g": "carbohydrate"}),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GlucoseConfig:
    """Options of ``medsim/Glucose-v0``."""

    observation: str = choice("vector", "full", doc="what the agent sees")
    action: str = choice("discrete", "continuous", doc="multiples of the patient's own basal rate, or doses in units")
    bolus: bool = switch(False, doc="whether the action has a bolus beside the basal rate")
    cohort: str = choice("train", "test", "shifted", doc="who the patients are; the three share no base patient")
    group: str = choice("all", *GROUPS, doc="age group")
    days: int = choice(1, 7, doc="length of an episode")
    step_minutes: int = choice(5, 1, 3, doc="minutes between decisions")
    fidelity: str = choice("exact", "fast", doc="integration steps of 0.25 min, or of 1 min (0.5 % of glucose at worst)")
    compat: str | None = choice(None, "simglucose", doc="reproduce another simulator's conventions")
    random_start: bool = switch(True, doc="start away from the steady state")
    announce_meals: bool = switch(True, doc="tell the agent of a meal when it begins")
    counting_error: float = within(0.26, 0.0, 1.0, doc="sd of the carbohydrate count's relative error")
    scale_meals: bool = switch(True, doc="meals in proportion to body weight below 70 kg")
    unannounced_meal: float = within(0.0, 0.0, 1.0, doc="probability that a meal is not announced")
    sensor_dropout: float = within(0.0, 0.0, 0.8, doc="share of readings that are lost, in gaps")
    pump_occlusions_per_day: float = within(0.0, 0.0, 24.0, doc="rate at which the infusion set blocks")
    early_end_penalty: bool = switch(True, doc="charge the highest risk for every step that an early end cuts off")
    expose_state: bool = switch(False, doc="put the true state into info")


def glucose_task(**options: Any) -> Task:
    """Return the task that the options describe.

    Raises:
        ValueError: an option is unknown or its value is not allowed.
    """
    config = parse_options(GlucoseConfig, options)
    compat = config.compat == "simglucose"
    if compat:
        for name in ("observation", "action", "bolus", "step_minutes", "random_start", "announce_meals", "scale_meals"):
            if name in options:
                raise ValueError(f"option {name} is fixed by compat='simglucose'")
        config = dataclasses.replace(config, step_minutes=3, announce_meals=False, scale_meals=False)
    first_row, last_row = COHORT_ROWS[config.cohort]
    horizon = config.days * 1440 // config.step_minutes
    settings = Settings(
        step_min=float(config.step_minutes),
        intervals=float(config.step_minutes),
        substeps=4.0 if config.fidelity == "exact" else 1.0,
        horizon_steps=float(horizon),
        action_kind=2.0 if compat else float(config.action == "continuous"),
        bolus=float(config.bolus),
        compat=float(compat),
        first_row=first_row,
        last_row=last_row,
        group=-1.0 if config.group == "all" else float(GROUPS.index(config.group)),
        spread_cv=COHORT_SPREAD_CV[config.cohort],
        start_cv=0.2 if config.random_start else 0.0,  # chosen: glucose at midnight within about 90 to 210 mg/dL
        scale_meals=float(config.scale_meals),
        announce_meals=float(config.announce_meals),
        counting_sd=config.counting_error,
        unannounced_meal=config.unannounced_meal,
        sensor_dropout=config.sensor_dropout,
        occlusions_per_day=config.pump_occlusions_per_day,
        early_end_penalty=float(config.early_end_penalty),
        scripted=0.0,
    )
    return Task(
        id="medsim/Glucose-v0",
        config=config,
        model=GLUCOSE,
        view_name="simglucose" if compat else config.observation,
        settings=settings,
        action_space=action_space(config, compat),
        horizon_steps=horizon,
        step_h=config.step_minutes / 60.0,
        expose_state=config.expose_state,
        patient_limits=PATIENT_LIMITS,
        reset_options={"meals": script_meals},
        metrics=glucose_metrics,
        panels=PANELS,
        citation=CITATION,
        action_meaning=action_meaning(config, compat),
        provenance=provenance,
    )


def action_space(config: GlucoseConfig, compat: bool) -> spaces.Discrete | spaces.Box:
    """Return the action space of a configuration."""
    if compat:
        return spaces.Box(0.0, COMPAT_MOST_U_PER_MIN, (1,), dtype=np.float32)
    if config.action == "discrete":
        return spaces.Discrete(len(BASAL_MULTIPLES) * (len(BOLUS_HOURS) if config.bolus else 1))
    most = MOST_DOSES if config.bolus else MOST_DOSES[:1]
    return spaces.Box(np.zeros(len(most), dtype=np.float32), np.array(most, dtype=np.float32), dtype=np.float32)


def script_meals(settings: Settings, meals: Sequence[tuple[float, float]]) -> Settings:
    """Return the settings with the day's meals given: up to six (minute of the day, grams), the same every day.

    Raises:
        ValueError: too many meals, or a time or an amount that is not possible.
    """
    if len(meals) > 6:
        raise ValueError(f"reset option meals takes at most 6 meals a day, not {len(meals)}")
    changes = {"scripted": 1.0}
    for number in range(6):
        minute, grams = meals[number] if number < len(meals) else (NO_MEAL, 0.0)
        if number < len(meals) and not (0 <= minute < 1440 and int(minute) == minute):
            raise ValueError(f"a meal's time must be a whole minute of the day, 0 to 1439, not {minute!r}")
        if not 0.0 <= grams <= 500.0:
            raise ValueError(f"a meal's carbohydrate must be from 0 to 500 g, not {grams!r}")
        changes[f"script_minute_{number}"] = float(minute)
        changes[f"script_carbs_{number}_g"] = float(grams)
    return settings._replace(**changes)


def action_meaning(config: GlucoseConfig, compat: bool) -> str:
    """Return which number of an action is which."""
    if compat:
        return "insulin, U/min"
    if config.action == "continuous":
        return "basal rate U/h" + (", bolus U" if config.bolus else "")
    rates = ", ".join(f"{multiple:g}" for multiple in BASAL_MULTIPLES)
    hours = ", ".join(f"{amount:g}" for amount in BOLUS_HOURS)
    return f"5 x basal ({rates} x own) + bolus ({hours} h of own)" if config.bolus else f"basal rate: {rates} x the patient's own"


class GlucoseEnv(ConfiguredEnv):
    """Insulin dosing in type 1 diabetes: hold the glucose of a virtual patient in range, through meals, for a day or a week.

    Research simulation, not medical advice.

    ## Description
    The UVA/Padova model of 2008: 13 ordinary differential equations, 30 published virtual patients and people like them. Every
    five minutes the agent programs an insulin pump. Insulin takes an hour to act and cannot be taken back; a meal raises glucose
    within minutes. CGM: continuous glucose monitor. Basal: the steady rate that holds glucose between meals. Bolus: a dose at once.

    ## Observation
    | number | name | unit | range |
    |---|---|---|---|
    | 0-11 | the monitor's readings now, 5, ..., 55 min ago | mg/dL | 39-600 |
    | 12 | age of the newest reading | min | 0-1440 |
    | 13, 14 | basal rate and bolus of the last step, as the pump gave them | U/h, U | 0-30 |
    | 15 | insulin on board beyond basal, the pump's own estimate | U | -50-100 |
    | 16, 17 | carbohydrate about to be eaten, and of the last announced meal, as the patient counts | g | 0-500 |
    | 18 | time since the last announced meal | min | 0-720 |
    | 19-22 | the patient's own basal rate, carbohydrate ratio, correction factor, weight | U/h, g/U, mg/dL/U, kg | |
    | 23, 24 | hour of the day, hours since the start | h | 0-24, 0-168 |

    ``observation="full"`` shows the true state and parameters (50 numbers, named in ``env.unwrapped.task.view.names``).

    ## Action
    ``action="discrete"`` (default): Discrete(8), the basal rate as 0, 0.5, 1, 1.5, 2, 3, 5 or 10 times the patient's own. With
    ``bolus=True``: Discrete(40), the same times a bolus of 0, 1, 2, 4 or 8 hours of own basal insulin (action = 5 x basal + bolus).
    ``action="continuous"``: Box, basal rate 0-20 U/h, with ``bolus=True`` also a bolus of 0-20 U. The pump gives steps of 0.05 U/h
    and 0.05 U, no more than ten times the patient's own basal rate nor 30 U/h, and no bolus above 30 U.

    ## Reward
    | term | value each step |
    |---|---|
    | ``risk`` | minus the blood glucose risk index of plasma glucose / 100: 0 at 112.5 mg/dL, -0.08 at 70 and 180, -1 at 20 and 600 |
    | ``early_end`` | at an early end -1 for every step that is cut off, so that ending early never pays |

    ## Cost
    ``glucose_below_54``, ``glucose_below_70``, ``glucose_above_250``: 1 for a step that ends there;
    ``insulin_above_limit_u``: units asked for beyond the pump's limits (and not given).

    ## Start
    Midnight, a patient of the cohort near (CV 20 %) their steady state. Meals: breakfast, lunch, dinner (95 % each) and three snacks
    (30 % each) at random times, in proportion to weight below 70 kg. ``reset(options={"patient": "adult#001"})`` replays one of the
    30 published patients, ``options={"meals": [(420, 45), ...]}`` sets the day's meals (minute, grams).

    ## End
    Terminated (``severe_hypoglycaemia``) after 15 minutes below 40 mg/dL, or (``glucose_above_600``) above 600 mg/dL. Truncated
    (``day_completed``) after 24 hours, or 7 days.

    ## Arguments
    See ``GlucoseConfig``. ``compat="simglucose"`` reproduces that simulator's conventions: 3-minute steps, rate in U/min, one
    reading of the monitor as the observation, the difference of the readings' risk as the reward, an end below 10 or above 600 mg/dL.

    ## Fidelity
    | what | published or peer | ours | test |
    |---|---|---|---|
    | course of 24 h, three meals, adult#001 basal and bolus | simglucose | within 0.0001 mg/dL | ``test_glucose_fidelity.py`` |
    | the same with boluses, all 30 patients | simglucose | within 0.001 mg/dL; ``fidelity="fast"`` 0.43 % at worst | same |
    | all 30 patients' steady states | fixed points of the published parameters | residual below 1e-9 | same |
    | sensor noise at its nodes | mean 0.72, sd 11.73 mg/dL, lag-15-min correlation 0.69-0.70 | within sampling error | same |
    | risk index | 7.755 at 70, 18.46 at 54, 36.42 at 40, 7.729 at 180, 22.44 at 250, 57.05 at 400 | equal to the digits given | same |

    ## Version History
    v0: first version.
    """

    task_of = staticmethod(glucose_task)


class GlucoseVectorEnv(ConfiguredVectorEnv):
    """A batch of ``medsim/Glucose-v0``; options as for one, and ``autoreset_mode``, ``threads``."""

    task_of = staticmethod(glucose_task)
