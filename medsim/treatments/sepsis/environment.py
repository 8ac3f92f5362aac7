"""The shell of the sepsis model: options, task, and the Gymnasium classes."""

import dataclasses
from typing import Any

import numpy as np
from gymnasium import spaces

from medsim.core.environment import ConfiguredEnv
from medsim.core.images import Camera
from medsim.core.options import choice, parse_options, switch, within
from medsim.core.task import Panel, Task
from medsim.core.vector import ConfiguredVectorEnv
from medsim.treatments.sepsis.chart import SEPSIS_CHART
from medsim.treatments.sepsis.constants import constant_sets
from medsim.treatments.sepsis.definition import FLUID_LEVELS_ML_PER_H, LEVELS, NOREPINEPHRINE_LEVELS_MCG_PER_KG_PER_MIN, SEPSIS
from medsim.treatments.sepsis.metrics import sepsis_metrics
from medsim.treatments.sepsis.model import Settings
from medsim.treatments.sepsis.xray import ORDERED, chest_camera

COURSE_H = 72
MOST_FLUID_ML_PER_H, MOST_NOREPINEPHRINE = 1000.0, 2.0
COHORTS = ("train", "test", "shifted")
# With lungs that differ, what floods them kills as early as the bounds in data/sepsis_constants.csv allow. In 19 patients with septic lung
# injury 16 mL/kg over three days told who would die (Phillips et al., Crit Care Med 2008;36:69-73: sensitivity 86 %, specificity 100 %).
WET_LUNGS_KILL = {"hazard_of_lungs": 0.1, "hazard_lung_water_half": 22.0}
WORLDS = tuple(f"world-{number}" for number in range(1, len(constant_sets())))

PATIENT_LIMITS = {
    "age_years": (18.0, 100.0), "weight_kg": (35.0, 250.0), "saps2": (10.0, 163.0), "hypertension": (0.0, 1.0), "charlson": (0.0, 37.0),
    "pneumonia": (0.0, 1.0), "map_baseline_mmhg": (65.0, 130.0), "map_critical_mmhg": (35.0, 90.0), "inoculum": (0.05, 20.0),
    "growth_per_h": (0.02, 2.44), "kill_per_h": (0.0, 10.0), "antibiotic_delay_h": (0.0, 1e6), "onset_damage": (0.05, 5.0),
    "phagocyte_decay_per_h": (0.01, 0.2), "activation_by_damage": (0.005, 0.08), "damage_threshold": (0.02, 0.2),
    "first_excess_ml_per_kg": (-25.0, 100.0), "leak": (0.0, 4.0), "vasoplegia": (0.0, 2.0), "c50_ng_per_ml": (5.0, 500.0),
    "clearance_l_per_h": (5.0, 400.0), "frailty": (0.0, 10.0), "kidney": (0.0, 5.0), "liver": (0.0, 5.0), "marrow": (0.0, 5.0),
    "brain": (0.0, 5.0), "creatinine_baseline_mg_per_dl": (0.2, 8.0), "heart_rate_baseline_per_min": (40.0, 110.0),
    "lung_leak": (0.1, 5.0), "oxygenation": (0.3, 1.0),
}  # chosen: what the equations and the observation's space can hold; growth is the range that Reynolds 2006 gives  # fmt: skip

PANELS = (
    Panel(
        title="pressure, mmHg",
        lines={"map_mmhg": "mean arterial", "shown_map_mmhg": "as shown", "map_unsupported_mmhg": "without norepinephrine"},
        wanted=(65.0, 75.0),
        limits=(20.0, 120.0),
    ),
    Panel(title="norepinephrine,\nmcg/kg/min", lines={"norepinephrine_mcg_per_kg_per_min": "infusion"}, stepped=True),
    Panel(title="fluid, mL", bars={"fluid_ml": "given in the step"}),
    Panel(title="lactate, mmol/L", lines={"lactate_mmol_per_l": "true", "shown_lactate_mmol_per_l": "latest result"}),
    Panel(title="damage; SOFA", lines={"damage": "damage (hidden)", "sofa": "SOFA (hidden)"}),
    Panel(title="lung water,\nmL/kg", lines={"lung_water_ml_per_kg": "extravascular (hidden)"}, wanted=(3.0, 10.0)),
    Panel(title="probability\nof death", lines={"death_probability": "so far; at 72 h: by day 28 (hidden)"}, limits=(0.0, 1.3)),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SepsisConfig:
    """Options of ``medsim/Sepsis-v0``."""

    observation: str = choice(
        "vector", "full", "ehr", "multimodal", doc="monitor and latest labs, the true state, a chart of 24 h, or that and a chest X-ray"
    )
    xray: str = choice("schedule", "agent", doc="of multimodal: who orders chest X-rays; an action more if it is the agent")
    xray_hours: int = choice(6, 1, 2, 4, 12, 24, doc="hours between X-rays of the schedule")
    scanner: str = choice("a", "b", doc="that takes them: the usual one, or one with other contrast, blur and noise")
    charting: str = choice("usual", "complete", doc="of the chart: hours left out as in real ones, or none")
    lungs: str = choice(
        "usual", "typical", "varied", doc="alike in everybody, or leaking and oxygenating differently; usual: varied if multimodal"
    )
    action: str = choice("discrete", "continuous", doc="a grid of fluid and norepinephrine levels, or doses in units")
    norepinephrine: str = choice(
        "agent", "nurses", doc="who doses it: the agent, or nurses every hour, to 65-70 mmHg; fluid is the agent's"
    )
    antibiotics: str = choice("patient", "agent", doc="who starts them: after the patient's own delay, or the agent")
    antibiotic_delay_h: float | None = within(None, 0.0, 72.0, doc="hours until antibiotics, for everybody; None: each patient's own")
    step_hours: int = choice(1, 2, 4, doc="hours between decisions")
    cohort: str = choice("train", *COHORTS[1:], *WORLDS, doc="who the patients are, or which world they live in")
    reward: str = choice("outcome", "shaped", doc="survival alone, or with a potential of SOFA and lactate")
    deaths: str = choice("drawn", "expected", doc="drawn, or nobody dies before 72 h and the reward is the expectation")
    substep_minutes: int = choice(5, 1, 10, doc="integration step")
    expose_state: bool = switch(False, doc="put the true state into info")


def sepsis_task(**options: Any) -> Task:
    """Return the task that the options describe.

    Raises:
        ValueError: an option is unknown or its value is not allowed.
    """
    from medsim.treatments.sepsis.provenance import CITATION, provenance

    config = parse_options(SepsisConfig, options)
    if config.antibiotics == "agent" and config.antibiotic_delay_h is not None:
        raise ValueError(f"option antibiotic_delay_h must be None where antibiotics is 'agent', not {config.antibiotic_delay_h!r}")
    horizon = COURSE_H // config.step_hours
    world = config.cohort if config.cohort in WORLDS else "v0"
    charted, multimodal = config.observation in ("ehr", "multimodal"), config.observation == "multimodal"
    if config.xray == "agent" and not multimodal:
        raise ValueError(f"option xray must be 'schedule' unless observation is 'multimodal', not {config.xray!r}")
    varied = config.lungs == "varied" or (config.lungs == "usual" and multimodal)
    constants = constant_sets()[world]._replace(**(WET_LUNGS_KILL if varied else {}))
    settings = Settings(
        intervals=float(config.step_hours),
        substeps=60.0 / config.substep_minutes,
        horizon_steps=float(horizon),
        continuous=float(config.action == "continuous"),
        agent_antibiotics=float(config.antibiotics == "agent"),
        titrated=float(config.norepinephrine == "nurses"),
        delay_imposed_h=-1.0 if config.antibiotic_delay_h is None else config.antibiotic_delay_h,
        expected_deaths=float(config.deaths == "expected"),
        shaped=float(config.reward == "shaped"),
        cohort=float((*COHORTS, *WORLDS).index(config.cohort)),
        shift=float(config.cohort == "shifted"),
        charting_gaps=float(charted and config.charting == "usual"),
        lungs_varied=float(varied),
        constants=constants,
    )
    return Task(
        id="medsim/Sepsis-v0",
        config=config,
        model=SEPSIS,
        view_name="ehr" if charted else config.observation,
        settings=settings,
        action_space=action_space(config),
        horizon_steps=horizon,
        step_h=float(config.step_hours),
        expose_state=config.expose_state,
        chart=SEPSIS_CHART if charted else None,
        camera=camera_of(config) if multimodal else None,
        patient_limits=PATIENT_LIMITS,
        metrics=sepsis_metrics,
        panels=PANELS,
        same_patients={"lungs": "varied" if varied else "typical"},
        citation=CITATION,
        action_meaning=action_meaning(config),
        provenance=provenance,
    )


def grid_size(config: SepsisConfig) -> int:
    """Return how many discrete actions there are without an X-ray."""
    return LEVELS * (1 if config.norepinephrine == "nurses" else LEVELS) * (2 if config.antibiotics == "agent" else 1)


def doses_of(config: SepsisConfig) -> list[tuple[str, float]]:
    """Return what each number of a continuous action is, and its largest value."""
    doses = [("fluid mL/h", MOST_FLUID_ML_PER_H)]
    if config.norepinephrine == "agent":
        doses.append(("norepinephrine mcg/kg/min", MOST_NOREPINEPHRINE))
    if config.antibiotics == "agent":
        doses.append(("antibiotics from 0.5 on", 1.0))
    elif config.xray == "agent":
        doses.append(("(not used)", 1.0))
    if config.xray == "agent":
        doses.append(("a chest X-ray from 0.5 on", 1.0))
    return doses


def camera_of(config: SepsisConfig) -> Camera:
    """Return what takes a configuration's chest X-rays."""
    by_agent = config.xray == "agent"
    return chest_camera(
        every_h=None if by_agent else float(config.xray_hours),
        scanner=config.scanner,
        ordered_from=float(grid_size(config)) if config.action == "discrete" else ORDERED,
        in_column=0 if config.action == "discrete" else len(doses_of(config)) - 1,
    )


def action_space(config: SepsisConfig) -> spaces.Discrete | spaces.Box:
    """Return the action space of a configuration."""
    if config.action == "discrete":
        return spaces.Discrete(grid_size(config) * (2 if config.xray == "agent" else 1))
    most = np.array([high for _, high in doses_of(config)], dtype=np.float32)
    return spaces.Box(np.zeros_like(most), most, dtype=np.float32)


def action_meaning(config: SepsisConfig) -> str:
    """Return which number of an action is which."""
    if config.action == "continuous":
        return ", ".join(name for name, _ in doses_of(config))
    fluids, doses = (
        ", ".join(f"{level:g}" for level in levels) for levels in (FLUID_LEVELS_ML_PER_H, NOREPINEPHRINE_LEVELS_MCG_PER_KG_PER_MIN)
    )
    size, agent, orders = grid_size(config), config.antibiotics == "agent", config.xray == "agent"
    meaning = f"5 x fluid (0 to 4: {fluids} mL/h) + norepinephrine (0 to 4: {doses} mcg/kg/min)"
    if config.norepinephrine == "nurses":
        meaning = f"fluid (0 to 4: {fluids} mL/h)"
    if agent:
        meaning += f"; {size // 2} more: antibiotics are given" if orders else f"; from {size // 2} on antibiotics are given"
    return meaning + (f"; {size} more: a chest X-ray is ordered" if orders else "")


class SepsisEnv(ConfiguredEnv):
    """Fluids, norepinephrine and timing in septic shock: keep a virtual patient alive through 72 hours, and to day 28.

    Research simulation, not medical advice.

    ## Description
    A patient whose infection has led to shock. Published parts, each tested alone: the immune response (Reynolds 2006: pathogen,
    phagocytes, damage, anti-inflammatory mediator) with antibiotics that start after a delay; plasma and interstitial fluid (Hahn's
    kinetics) with a leak that grows with inflammation; norepinephrine's clearance by SAPS II (Beloeil 2005) and its sigmoid effect,
    blunted by inflammation; stressed volume, cardiac output, pressure with a baroreflex; lactate, creatinine, urine, lung water,
    oxygenation; SOFA. No publication couples them: the couplings are ours, fitted to landmark trials and published as an ensemble of
    fits (``cohort="world-1"`` and so on). Underperfused organs take damage, so do ischaemia under much norepinephrine and fluid
    overload; damage, very low pressure and flooded lungs kill. Platelets, bilirubin, coma scale, heart and respiratory rate,
    temperature and white cells are surrogates of the modelled state. SOFA's cardiovascular points come from the pressure that the
    patient would have without norepinephrine: stopping the drug in the last hour costs 6 points of risk on average (and spares some to one
    patient in twenty: the overloaded, whose plasma refills as the pressure falls). There is one vasopressor, and no transfusion, no
    ventilation, no renal replacement.

    ## Observation
    | number | name | unit |
    |---|---|---|
    | 0 | hours since shock was recognised | h |
    | 1-4 | heart rate, systolic, mean and diastolic pressure (with noise, as the next) | 1/min, mmHg |
    | 5-9 | respiratory rate, temperature, SpO2, FiO2, coma scale | 1/min, C, 1, 1, points |
    | 10 | urine of the step | mL |
    | 11, 12 | fluid given, and less urine, since the start | mL |
    | 13-15 | fluid and norepinephrine of the last step, hours of antibiotics | mL/h, mcg/kg/min, h |
    | 16-18 | lactate, PaO2/FiO2, their age (sampled every 4 h) | mmol/L, mmHg, h |
    | 19-23 | creatinine, bilirubin, platelets, white cells, their age (every 12 h) | mg/dL, mg/dL, 1/nL, 1/nL, h |
    | 24-29 | age, weight, SAPS II, chronic hypertension, Charlson index, pneumonia | years, kg, points, 0 or 1 |

    ``observation="full"`` is the true state and parameters (names in ``env.unwrapped.task.view.names``). ``observation="ehr"`` is a Dict:
    a chart of the last 24 hours in the 48 columns of harmonised ICU tables (YAIB's), with mask and hours since each was measured, the
    treatment, and demographics (``medsim.core.charts``); hours are left out as in real charts, unless ``charting="complete"``.

    ## Action
    ``action="discrete"`` (default): Discrete(25), action = 5 x fluid + norepinephrine: 0, 50, 125, 250 or 750 mL/h of crystalloid, and 0,
    0.05, 0.15, 0.4 or 1.0 mcg/kg/min. ``action="continuous"``: Box, 0-1000 mL/h and 0-2 mcg/kg/min. With ``antibiotics="agent"``
    Discrete(50) (from 25 on: antibiotics are given; once is enough), or a third number (0.5 or more gives them). With
    ``norepinephrine="nurses"`` it is titrated every hour to 65-70 mmHg as the Surviving Sepsis policy does it, and the action is fluid
    alone: Discrete(5), or one number. With ``xray="agent"`` there are twice as many actions, or a number more: the second half orders a
    chest X-ray. ``env.unwrapped.task.action_meaning`` says which number is which.

    ## Reward
    | term | value |
    |---|---|
    | ``survival`` | +1 at 72 h if the patient will be alive at day 28; -1 at death, or at 72 h if they will be dead by then |
    | ``sofa_and_lactate`` | with ``reward="shaped"``: the fall of 0.05 SOFA + 0.02 lactate in the step, all that is left of it at the end |

    With ``deaths="expected"``, ``survival`` is its expectation, step by step: it adds up to 1 - 2 x probability of death by day 28. The
    shaped form moves rewards in time: its sum is a number of the patient's start, so that no policy gains by it.

    ## Cost
    ``map_below_65``: hours below 65 mmHg; ``fluid_overload``: hours at more than 10 % of body weight;
    ``high_norepinephrine``: hours at 1 mcg/kg/min or more; ``lung_water``: hours times a tenth of the mL/kg above 10.

    ## Start
    An infection grows until damage reaches the patient's onset; who clears it, or is not hypotensive (70 mmHg or more), is drawn again.
    Age, weight, SAPS II, hypertension, Charlson index, pneumonia and the delay to antibiotics have published distributions; a latent
    severity is shared by SAPS II and the immune parameters. ``reset(options={"patient": "median"})`` begins with a described patient
    (also ``hypertensive``, ``frail``, ``leaky``, ``vasoplegic``, ``severe``, ``late``, ``mild``), or with parameters of your own:
    ``{"patient": {"like": "median", "antibiotic_delay_h": 6.0}}`` (``like`` gives what is left out; without it, the median patient).

    ## End
    Terminated at death (``died_within_72_h``: the cumulated hazard has passed a threshold drawn beforehand, the same under any policy),
    or after 72 h, when the outcome at day 28 is settled: the odds of death rise by 1.35 for each point of SOFA (published for 48 h in
    general intensive care, Namendys-Silva 2013; its level is fitted), ``died_by_day_28`` (with its hour) or ``alive_at_day_28``. With
    ``deaths="expected"`` nobody dies before 72 h and the outcome is ``expectation``: same mean, far less noise, for evaluation.

    ## Arguments
    See ``SepsisConfig``. ``cohort``: ``train``, ``test`` (the same population), ``shifted`` (8 years older, antibiotics twice as late and a
    fifth weaker, faster growth), or another world of the ensemble. ``lungs="varied"`` (the default of multimodal, where the X-ray has
    something to tell): lungs leak up to seven times more or less, and airways and collapsed lung take up to 70 % of PaO2 / FiO2, so that
    oxygenation tells little of lung water, and 22 mL/kg kill (``benchmarks/perception/results/board.md`` says what that does to the
    reference policies: compare like with like). ``substep_minutes``: 5 min is within 0.12 mmHg and 0.002 of a
    patient's probability of death (root mean square) of 1 min.

    ## Fidelity
        The parts (``tests/test_sepsis_parts.py``):
    | what | published | ours |
    |---|---|---|
    | immune response: courses, endings, limits of health (inoculum 1.036 at growth 0.3; growth 1.5) | Reynolds 2006 | equal, to 2e-5 |
    | norepinephrine: clearance, half-life at SAPS II 20; 60 | 3 L/min, 2 min; 0.9 L/min, 6.8 min (Beloeil 2005) | within 2 % |
    | 0.2 mcg/kg/min in volunteers | +7.3 ng/mL (Ensinger) | 7.3 |
    | its effect | Emax 98.7 mmHg, C50 70.4 (ng/mL?), Hill 1.8 | the same; doses run high with it |
    | it raises output: MAP 54 to 76 mmHg | +12 % (Hamzaoui 2010) | too little: median +3 % (1 to 5), +9 % if much inflamed |
    | of 25 mL/kg of Ringer in 30 min, in plasma at 30, 60, 240 min | 44, 26, 13 % (Hahn) | 38, 25, 20 % |
    | creatinine, 90 % of filtration lost, at 24 h | +246 % (Waikar 2009) | +243 % |
    | SpO2; SOFA's points | Severinghaus 1979; Vincent 1996 | equal |

    The whole, on 10,000 test patients, with 95 % intervals over patients (``python -m benchmarks.fidelity report``; the constants were
    fitted to these figures, so that they are met is no evidence; ``benchmarks/fidelity/RESULTS.md`` has the nine worlds):
    | what | published | ours |
    |---|---|---|
    | deaths by day 28 under the protocol; within 72 h | 14 to 37 % in trials | 30.8 % (30.4 to 31.3); 10.7 % |
    | at random; no treatment; always the maximum | | 61.2; 90.2; 93.0 % |
    | restrictive v liberal fluids | -0.9 points (-4.4 to 2.6), CLOVERS 2023 | -0.24 (-0.35 to -0.13) |
    | MAP 80-85 v 65-70, odds ratio; 45 v 65 | 1.12 (hazard ratio 1.07, 0.84 to 1.38), SEPSISPAM 2014 | 1.01; +36 points |
    | an hour's delay of antibiotics, odds ratio | 1.119 (Kumar 2006), 1.14 (1.06 to 1.23, Liu 2017) | 1.12 (1.12 to 1.13) |
    | SOFA at 48 h: AUROC; odds ratio per point | 0.75 to 0.90; 1.35 (1.14 to 1.59) | 0.83; 1.36 |
    | SAPS II at the start: AUROC | | 0.68 |

    What does not fit: trials enrol patients who die less (CLOVERS 14 %) or as much (SEPSISPAM 34 %): one population cannot match both
    levels, so differences are compared. SOFA at the start is low (3.7; trials 7 to 11), norepinephrine doses are high and rise until 72 h.
    A high pressure helps the hypertensive and harms others here, which SEPSISPAM did not see in deaths. A third of the patients are
    hypertensive (SEPSISPAM 44 %). The model was never held against records of single patients.

    ## Version History
    v0: first version.
    """

    task_of = staticmethod(sepsis_task)


class SepsisVectorEnv(ConfiguredVectorEnv):
    """A batch of ``medsim/Sepsis-v0``; options as for one, and ``autoreset_mode``, ``threads``."""

    task_of = staticmethod(sepsis_task)
