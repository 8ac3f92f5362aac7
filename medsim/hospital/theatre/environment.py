"""``medsim/Theatre-v0``: operating rooms that share a list of electives, emergencies, recovery beds and intensive care."""

from typing import Any

from medsim.core.streams import Key
from medsim.hospital.shells import HospitalParallelEnv
from medsim.hospital.task import DecisionModel, HospitalTask
from medsim.hospital.theatre.account import COSTS, TERMS
from medsim.hospital.theatre.kinds import ACTIONS
from medsim.hospital.theatre.model import TheatreModel
from medsim.hospital.theatre.options import theatre_config
from medsim.hospital.theatre.provenance import CITATION, provenance
from medsim.hospital.theatre.views import seen_of_theatre, state_names

__all__ = ["TheatreEnv", "theatre_task"]


def theatre_task(**options: Any) -> HospitalTask:
    """Return the task that the options describe.

    Raises:
        ValueError: an option is unknown or its value is not allowed.
    """
    config = theatre_config(options)

    def make_model(key: Key) -> DecisionModel:
        return TheatreModel(config, key)

    return HospitalTask(
        id="medsim/Theatre-v0",
        config=config,
        roles={f"theatre_{number}": "theatre" for number in range(int(config.rooms))},
        actions={"theatre": ACTIONS},
        seen={"theatre": seen_of_theatre(config)},
        state_names=state_names(config),
        term_names=TERMS,
        cost_names=COSTS,
        make_model=make_model,
        horizon_h=config.horizon_h,
        ends_by_itself=True,
        mask_in_observation=config.mask_in_observation,
        local_rewards=config.local_rewards,
        expose_state=config.expose_state,
        citation=CITATION,
        provenance=provenance,
    )


class TheatreEnv(HospitalParallelEnv):
    """A surgical suite: which case each operating room takes next.

    Simulation for research, not medical advice.

    ## Description
    Four operating rooms share a day's list of eight electives and the emergencies that come at any hour. Whenever a room is free it is
    asked which kind of case comes next, or to be held. Actual durations are hidden; only a kind's expected one is known. After surgery a
    bed in recovery is needed, and the room is blocked until there is one. Electives of kind ``major`` have a bed in intensive care
    booked and can begin only while one is free; some emergencies turn out to need one, too, and wait for it in recovery (boarding). Each
    room is an agent, ``theatre_0`` and so on. Rooms that are free at the same moment are asked one after the other, and each mask knows
    what was taken before, so no case is taken twice.

    ## Observation
    Box, float32; the same kinds of numbers for every room. Nothing in it tells how long a case will really last, or what is to come.

    | what | unit |
    |---|---|
    | hour of the day, from 08:00; hours of watching left | h |
    | cases waiting, by kind (7) | |
    | longest wait, by class of emergency (3) | h |
    | place on the list of the first that waits, by kind of elective (4); 0: none waits | |
    | rooms free, blocked, with an emergency | |
    | when the next of the taken rooms is expected to be free; the same of every room but the first, in ascending order | h |
    | recovery beds free; patients waiting for intensive care; its beds free | |
    | whether the own room is taken; its expected hours left | h |

    ## Action
    Discrete(8): 0 nothing; 1 immediate, 2 urgent, 3 expedited emergency; 4 short, 5 medium, 6 long, 7 major elective. The first who waits
    of that kind begins. A room that takes nothing is asked again when a case arrives, when a bed of intensive care becomes free, or after
    ``hold_h``. Only kinds that wait are legal, ``major`` only with a bed free in intensive care.

    ## Reward
    | term | value |
    |---|---|
    | ``elective_waiting`` | -0.05 for each hour that a patient waits, from 08:00 to the start or the cancellation |
    | ``emergency_waiting`` | -4, -0.5, -0.1 for each hour that an immediate, urgent, expedited patient waits |
    | ``overtime`` | -1 for each hour for which a room is used (surgery, blocked, cleaning) outside sessions |
    | ``cancellations`` | -3 for each elective cancelled |
    | ``handed_over`` | -3 for each emergency that has not begun when watching ends |

    With ``local_rewards`` a room gets its own overtime, and an equal part of all else.

    ## Cost
    ``overtime_h``; ``emergency_beyond_due``: emergencies that have waited beyond 1, 8, 24 h; ``cancelled_electives``; ``room_blocked_h``;
    ``icu_boarding_h``: hours for which operated patients wait for intensive care, in recovery or in the room;
    ``expected_excess_deaths``: what published associations of delay with death predict for waiting emergencies and for boarders.
    Associations only: who waits differs in other ways, too.

    ## Start
    08:00 of the first day: the list waits, all rooms are free, recovery is empty, each bed of intensive care is taken with probability
    0.8, with the rest of a stay that is met at a random moment.

    ## End
    Always terminated. ``work done``: the last session is over and nobody waits, is operated on or boards. ``morning``: it is 08:00 after
    the last day. The day ends by itself because the objective is that of these days: emergencies that come after the last session
    belong to the night's team, what is left is charged as handed over, and the hours left are seen. Electives are cancelled when they
    could no longer be expected to end within the session and ``allowed_overtime_h``.

    ## Arguments
    See ``TheatreConfig``. Fewer beds in recovery (``recovery_beds``) make rooms wait for each other; ``variability=0`` makes durations
    known; ``durations="lognormal"`` drops the least duration; ``harm="none"`` takes delay to be harmless.

    ## Fidelity
    | figure | published | ours | test |
    |---|---|---|---|
    | electives' time in the room, mean and sd | 159, 66 min (Stavrou 2014) | 159, 66 min | ``test_hospital_theatre.py`` |
    | emergencies' time in the room, mean and median | 185, 150 min (Antognini 2015) | 185, 150 min (lognormal) | same |
    | mean waits for one room, by urgency | Cobham's formula (exact) | within 4 standard errors | same |
    | best order of a toy list: overtime, last exit | best partition (exact) | equal | same |
    | makespan of longest-first lists over the best | at most 4/3 - 1/(3 rooms) (Graham 1969) | never more | same |

    No policy's return exceeds ``medsim.hospital.theatre.bound.ex_post_bound``, the clairvoyant bound, on any episode (same test file).
    Shares of kinds, weights of the reward and sizes of the suite are chosen; see ``provenance()``.

    ## Version History
    v0: first version.
    """

    def __init__(self, render_mode: str | None = None, **options: Any) -> None:
        super().__init__(theatre_task(**options), render_mode)
