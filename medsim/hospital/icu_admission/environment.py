"""``medsim/ICUAdmission-v0``: who gets the last beds of an intensive care unit."""

from typing import Any

from medsim.hospital.icu_admission import model, waiting_unit
from medsim.hospital.icu_admission.provenance import CITATION, queue_provenance, trunk_provenance
from medsim.hospital.icu_admission.settings import QueueConfig, TrunkConfig, parsed
from medsim.hospital.shells import HospitalEnv
from medsim.hospital.task import HospitalTask, Seen

__all__ = ["IcuAdmissionEnv", "icu_admission_task"]

ID = "medsim/ICUAdmission-v0"
TRUNK_SEEN = (Seen(name="beds busy share", high=1.0), Seen(name="urgent at hand", high=1.0), Seen(name="elective at hand", high=1.0))


def icu_admission_task(**options: Any) -> HospitalTask:
    """Return the task that the options describe; ``variant``, "trunk" or "queue", says which options there are.

    Raises:
        ValueError: an option is unknown to the variant, or its value is not allowed.
    """
    config = parsed(options)
    return trunk_task(config) if isinstance(config, TrunkConfig) else queue_task(config)


def trunk_task(config: TrunkConfig) -> HospitalTask:
    """Return the task of the unit without a waiting room."""
    return HospitalTask(
        id=ID,
        config=config,
        roles={"icu": "icu"},
        actions={"icu": model.ACTIONS},
        seen={"icu": TRUNK_SEEN},
        state_names=model.trunk_state_names(config),
        term_names=model.TERMS,
        cost_names=model.COSTS,
        make_model=lambda key: model.LossUnit(config, key),
        horizon_h=24.0 * config.horizon_days,
        mask_in_observation=config.mask_in_observation,
        expose_state=config.expose_state,
        citation=CITATION,
        provenance=lambda: trunk_provenance(config),
    )


def queue_task(config: QueueConfig) -> HospitalTask:
    """Return the task of the unit for which patients wait."""
    return HospitalTask(
        id=ID,
        config=config,
        roles={"icu": "icu"},
        actions={"icu": waiting_unit.ACTIONS},
        seen={"icu": queue_seen(config)},
        state_names=waiting_unit.queue_state_names(config),
        term_names=waiting_unit.TERMS,
        cost_names=waiting_unit.COSTS,
        make_model=lambda key: waiting_unit.WaitingUnit(config, key),
        horizon_h=24.0 * config.horizon_days,
        mask_in_observation=config.mask_in_observation,
        expose_state=config.expose_state,
        citation=CITATION,
        provenance=lambda: queue_provenance(config),
    )


def queue_seen(config: QueueConfig) -> tuple[Seen, ...]:
    """Return what the agent of the unit with a queue sees."""
    places = float(config.waiting_places) + 1.0  # the patient at hand may be one too many
    return (
        Seen(name="beds busy share", high=1.0),
        Seen(name="urgent at hand", high=1.0),
        Seen(name="low acuity at hand", high=1.0),
        Seen(name="elective at hand", high=1.0),
        Seen(name="waited at hand h", high=72.0),
        Seen(name="has just arrived", high=1.0),
        Seen(name="urgent waiting", high=places),
        Seen(name="low acuity waiting", high=places),
        Seen(name="elective waiting", high=places),
        Seen(name="longest wait h", high=72.0),
        Seen(name="next forecast ready in h", high=240.0),
        Seen(name="forecast ready within a day share", high=1.0),
        Seen(name="hour of day", high=24.0),
        Seen(name="theatre hours left this week", high=40.0),
    )


class IcuAdmissionEnv(HospitalEnv):
    """Admission to an intensive care unit: which patient gets a bed, and which bed stays empty for one who may come.

    Research simulation, not medical advice, nor advice on how to run a unit.

    ## Description
    ``variant="trunk"`` (default): emergencies and elective patients come at random to a unit of 10 beds without a waiting room. Who is
    not admitted is refused, at a cost of 10 for an emergency and 1 for an elective patient. An elective patient in one of the last beds
    may cost an emergency. It is a loss system (Erlang's, with two classes), so that each policy has an exact cost per day
    (``exact_cost_rate``), the best is known by value iteration (``optimum``), and an agent's distance to it can be told
    (``policy_table``, ``gap_closed``). The best keeps a reserve: elective patients are admitted while more than two beds are free.

    ``variant="queue"``: patients of high and low acuity, as triage sees them, and patients after operations wait for one of 12 beds where
    they are, are sent elsewhere, or get the bed of the patient nearest to ready, who leaves early and may come back.

    The model asks when there is a choice, and time runs between: a step ends at the next question.

    ## Observation
    Box, float32; ``mask_in_observation=True`` makes it a dict with ``action_mask``. ``variant="trunk"``:

    | index | what | unit |
    |---|---|---|
    | 0 | beds busy | share |
    | 1, 2 | the patient at hand is an emergency, elective; both 0 once the watching has ended | 0 or 1 |

    With exponential stays this is the whole state (Markov). ``variant="queue"``, classes as triaged:

    | index | what | unit |
    |---|---|---|
    | 0 | beds busy | share |
    | 1, 2, 3 | the patient at hand is of high acuity, of low acuity, elective | 0 or 1 |
    | 4 | how long they have waited | h, to 72 |
    | 5 | they have just arrived (otherwise a bed is free, or it is time for a review) | 0 or 1 |
    | 6, 7, 8 | patients who wait, the one at hand too: high acuity, low acuity, elective | patients |
    | 9 | the longest wait | h, to 72 |
    | 10 | until the next patient is ready, by forecast | h, to 240 |
    | 11 | patients who will be ready within a day, by forecast, of the beds | share |
    | 12 | hour of the day | h |
    | 13 | hours in which operations end, left in this week | h |

    Hidden: true acuity, the stays themselves, who will come back.

    ## Action
    ``variant="trunk"``: Discrete(2): 0 nothing (the patient is refused), 1 admit. Arrivals that find no bed are refused unasked.

    ``variant="queue"``: Discrete(4), masked in ``info["action_mask"]``:

    | action | what | legal |
    |---|---|---|
    | 0 nothing | the patient waits on, a free bed stays in reserve; without a place to wait they are refused | always |
    | 1 admit | the patient gets a bed | a bed is free |
    | 2 refuse | the patient is sent elsewhere | always |
    | 3 discharge_early | the patient forecast to be ready first leaves, and the one at hand gets the bed | the unit is full |

    The question comes when a patient arrives, when a bed is free and they are the first of those who wait (by class as triaged, then by
    arrival), and every 4 h while they wait. Nobody leaves early within 24 h. An action that the mask forbids does nothing, and is counted
    as a cost.

    ## Reward
    ``variant="trunk"``: ``refused_emergency``, ``refused_elective``: -10 and -1 for each refusal since the last question.

    ``variant="queue"``: what has come in since the last question, by true class:

    | term | value |
    |---|---|
    | ``waiting`` | -1.0, -0.4, -0.2 for each hour that a patient of high acuity, low acuity, an elective one waits; the exact integral |
    | ``transfers`` | -24, -12, -8 for a patient who is sent elsewhere |
    | ``readmissions`` | -72 for a patient who comes back, whether or not they left early |

    ## Cost
    Never negative. ``variant="trunk"``: ``refused_high_acuity`` (emergencies refused), ``refused_elective``. ``variant="queue"``:
    ``refused_high_acuity`` (patients), ``boarding_above_4_h`` (patient-hours of waiting beyond the fourth),
    ``early_discharge_readmissions`` (patients), ``expected_excess_deaths`` (by the delay of intensive care, 2 h more for who is sent
    elsewhere; an association found by comparing patients, not an effect: see ``medsim.hospital.harm``). Both: ``forbidden_action``.

    ## Start
    Busy beds are drawn from the steady state of admitting everybody (a Poisson number cut at the beds), their stays as found in progress.
    The queue begins empty, on a Monday at 0 h.

    ## End
    Truncated after ``horizon_days`` (30; queue: 28), outcome ``watching_ended``: only our watching ends, so agents bootstrap.

    ## Arguments
    See ``TrunkConfig`` and ``QueueConfig``; an option of the other variant is refused. ``stay="lognormal"`` or ``"fixed"`` changes the
    distribution of stays, to which the share refused is insensitive under admitting everybody, and nearly so under a reserve.

    ## Fidelity
    Both models are SimPy processes. ``tests/test_hospital_icu_admission.py`` holds them against theory:

    | what | theory | test |
    |---|---|---|
    | least cost per day, reserve | 2.173130, 2 beds (admitting everybody: 4.258137) | ``test_two_beds_in_reserve_are_best`` |
    | shares refused, reserves 0 to 3 | .12166 .12166, .04938 .21397, .02138 .30638, .00991 .40648 | ``test_refusals_agree_with_theory`` |
    | lognormal and fixed stays, the same share refused | Erlang B .12166 | ``test_refusals_are_insensitive_to_the_law_of_stays`` |
    | number of patients = arrival rate x time, beds and queue | Little's law | ``test_littles_law_holds_to_the_last_digits`` |

    What PPO learns in 100,000 steps closes 0.92 to 1 of the gap to the optimum on 5 of 5 seeds (``benchmarks/hospital/ICU_ADMISSION.md``).

    Not modelled in ``variant="queue"``: deaths in the unit, deaths by early discharge itself, arrivals that vary with the hour (but for
    operations), stays that depend on the delay. Its costs and readmission odds are chosen; so is its size.

    ## Version History
    v0: first version.
    """

    def __init__(self, render_mode: str | None = None, **options: Any) -> None:
        super().__init__(icu_admission_task(**options), render_mode)
