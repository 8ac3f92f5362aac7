"""``medsim/HospitalFlow-v0``: who gets the next bed, in an emergency department, on the wards and in intensive care."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from medsim.core.options import choice, parse_options, switch, within
from medsim.core.streams import Key
from medsim.hospital.arrival_chart import Triage
from medsim.hospital.batch import DecisionBatch, ShellBatch
from medsim.hospital.flow.compiled import CompiledFlow, FlowBatch
from medsim.hospital.flow.config import HospitalConfig
from medsim.hospital.flow.config_file import read_hospital
from medsim.hospital.flow.model import FlowModel
from medsim.hospital.flow.plan import plan_of
from medsim.hospital.flow.provenance import CITATION, provenance_of
from medsim.hospital.flow.report import state_names
from medsim.hospital.flow.seen import MANAGER, action_names, agents_of, seen_of
from medsim.hospital.flow.situation import COSTS, TERMS
from medsim.hospital.shells import HospitalParallelEnv
from medsim.hospital.task import DecisionModel, HospitalTask

__all__ = ["HospitalFlowConfig", "HospitalFlowEnv", "HospitalFlowTask", "hospital_flow_task"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class HospitalFlowConfig:
    """Options of ``medsim/HospitalFlow-v0``."""

    config: Any = dataclasses.field(
        default="district-general",
        metadata={"kind": "text", "doc": "a preset's name, a file of `medsim hospital fit`, or a HospitalConfig"},
    )
    size: float | None = within(None, 0.01, 10.0, doc="arrivals, beds and staff times this (None: 0.5 for presets, 1 otherwise)")
    days: float = within(7.0, 0.01, 3660.0, doc="how long an episode is watched, from Monday, midnight")
    load: float = within(1.0, 0.0, 100.0, doc="arrivals times this, beds and staff left as they are")
    engine: str = choice("compiled", "simpy", doc="the compiled core, or the SimPy model; the same episodes")
    triage: Triage | None = dataclasses.field(
        default=None,
        metadata={
            "kind": "function",
            "doc": "who triages by the chart at the door (medsim.hospital.arrival_chart); then SimPy is used. None: nurses",
        },
    )
    log_events: bool = switch(False, doc="keep an event log; then the SimPy model is used, whatever the engine")
    mask_in_observation: bool = switch(False, doc="observations are a Dict of observation and action_mask")
    local_rewards: bool = switch(False, doc="each agent gets its own part of the reward in place of the team's")
    expose_state: bool = switch(False, doc="put the true state into info")


def hospital_flow_task(**options: Any) -> "HospitalFlowTask":
    """Return the task that the options describe.

    Raises:
        ValueError: an option is unknown or its value is not allowed, or the hospital lacks a unit whose beds an agent gives.
    """
    config = parse_options(HospitalFlowConfig, options)
    if config.triage is not None and not callable(config.triage):
        raise ValueError(f"option triage must be None or a function of an arrival's chart, not {config.triage!r}")
    hospital = hospital_of(config)
    agents = agents_of(hospital)
    if not agents:
        raise ValueError(f"nobody decides anything in {hospital.name!r}: no unit has discipline='agent', and manager_every_h is 0")
    plan = plan_of(hospital)
    seen = seen_of(hospital, plan)
    return HospitalFlowTask(
        id="medsim/HospitalFlow-v0",
        config=config,
        hospital=hospital,
        roles={agent: agent for agent in agents},
        actions={agent: action_names(hospital, agent, plan) for agent in agents},
        seen=dict.fromkeys(agents, seen),
        state_names=state_names(hospital),
        term_names=TERMS,
        cost_names=COSTS,
        make_model=lambda key: model_of(config, hospital, key),
        horizon_h=24.0 * config.days,
        mask_in_observation=config.mask_in_observation,
        local_rewards=config.local_rewards,
        expose_state=config.expose_state,
        citation=CITATION,
        provenance=lambda: provenance_of(hospital),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class HospitalFlowTask(HospitalTask):
    """A task that also says which hospital it is of."""

    hospital: HospitalConfig

    def make_batch(self, n: int) -> DecisionBatch:
        """Return n episodes side by side: on the compiled core, unless the SimPy model is asked for."""
        if engine_of(self.config) == "simpy":
            return ShellBatch(self, n)
        return FlowBatch(self, self.hospital, n, owners_of(self.hospital))


def hospital_of(config: HospitalFlowConfig) -> HospitalConfig:
    """Return the hospital that the options name.

    Raises:
        ValueError: there is no such preset or file, or it is none of a hospital.
    """
    named = config.config
    hospital = named if isinstance(named, HospitalConfig) else named_hospital(named)
    size = config.size if config.size is not None else 1.0 if isinstance(named, HospitalConfig) or str(named).endswith(".json") else 0.5
    hospital = hospital if size == 1.0 else hospital.scaled(size)
    if config.load == 1.0:
        return hospital
    streams = [
        dataclasses.replace(stream, rates_per_h=tuple(rate * config.load for rate in stream.rates_per_h)) for stream in hospital.arrivals
    ]
    return dataclasses.replace(hospital, arrivals=tuple(streams))


def named_hospital(name: Any) -> HospitalConfig:
    """Return a preset by name, or the hospital of a file.

    Raises:
        ValueError: there is no such preset or file.
    """
    from medsim.hospital.presets import PRESETS, preset

    if not isinstance(name, str) or (name not in PRESETS and not name.endswith(".json")):
        raise ValueError(f"option config must be one of {', '.join(PRESETS)}, a .json file or a HospitalConfig, not {name!r}")
    if name in PRESETS:
        return preset(name)
    return read_hospital(name)


def engine_of(config: HospitalFlowConfig) -> str:
    """Return which engine moves an episode: only the SimPy model keeps an event log, and shows charts at the door to whoever triages."""
    return "simpy" if config.log_events or config.triage is not None else config.engine


def model_of(config: HospitalFlowConfig, hospital: HospitalConfig, key: Key) -> DecisionModel:
    """Return the model of one episode."""
    horizon_h, owners = 24.0 * config.days, owners_of(hospital)
    if engine_of(config) == "simpy":
        return FlowModel(hospital, key, horizon_h=horizon_h, log=config.log_events, owners=owners, triage=config.triage)
    return CompiledFlow(hospital, key, horizon_h=horizon_h, owners=owners)


def owners_of(hospital: HospitalConfig) -> Mapping[str, tuple[str, ...]]:
    """Return which terms are whose own reward: queues before a unit are its agent's, everything is the manager's."""
    own = {"ed": ("waiting", "left_unseen"), "ward": ("waiting_for_beds",), "icu": ("waiting_for_beds", "early_step_down"), MANAGER: TERMS}
    return {agent: own.get(agent, TERMS) for agent in agents_of(hospital)}


class HospitalFlowEnv(HospitalParallelEnv):
    """A hospital's beds: who is seen next, who gets the next bed, who steps down, and where flexible beds and nurses go.

    Research simulation, not medical advice, and no advice on how to run a hospital: harm from delay is an association found in cohorts.

    ## Description
    Patients arrive at an emergency department by hour and weekday, are triaged (with errors: the true acuity is hidden), wait, may
    leave unseen, are treated while clinicians and cubicles allow, and go home, to a ward or to intensive care. Who needs a bed that is
    not given boards in the bed that they hold. Wards send some patients to intensive care, and intensive care sends patients to the
    wards. Stays are lognormal, and shorten where a unit is crowded. Four agents decide:

    | agent | asked | decides |
    |---|---|---|
    | ``ed`` | a cubicle and a clinician are free and somebody waits | which triage category is seen next |
    | ``ward`` | a bed is free and somebody waits for one | whom to take: from the emergency department, intensive care, home |
    | ``icu`` | likewise, or it is full and somebody waits | whom to take, or to step the patient down who is nearest to leaving |
    | ``bed_manager`` | every 4 hours | where the float nurses work, and how many flexible beds intensive care gets |

    The manager sets what the units work with, on a clock of its own: the hierarchy is in who is asked when. A step runs to the next
    question; only the agent that is asked has more than "nothing" in its mask. Wards, intensive care and the manager may do nothing;
    the emergency department of the presets may not (``Unit.may_hold``), since idle clinicians help nobody: if it does so all the same,
    that is a forbidden action. Who does nothing is asked again when something changes in the unit, or after half an hour. Where two
    patients wait in full units for each other's bed, they change places unasked.

    ``engine="compiled"`` (default) and ``engine="simpy"`` play the same episodes, event by event: the SimPy model
    (``medsim.hospital.flow.model``) is the one to read and to extend, the compiled core is for training, and can be cloned.

    ## Observation
    Box, float32, the same bed board for all: hour and weekday; of each unit free beds, patients in treatment, boarding, how many
    patients more its nurses can take, free clinicians; of each queue how many wait and the longest wait in hours (by triage category, or by
    source with how many are urgent); the manager's arrangement; which agent one is. ``env.task.names_seen(agent)`` lists the names,
    ``env.observation_space(agent)`` the limits, at which values are cut. With ``mask_in_observation`` a Dict of ``observation`` and
    ``action_mask``. ``env.state()`` is the true state: numbers in beds and queues by true acuity.

    ## Action
    Discrete; ``env.task.actions[agent]`` lists the names. 0 is "nothing": the bed is held, or the arrangement kept. ``ed``: 1-5 the
    triage category. ``ward``, ``icu``: one for each source; the most urgent, then the first, of that source gets the bed; the last of
    ``icu`` is the early step-down. ``bed_manager``: one for each unit with nurses, times none, half or all of the flexible beds to
    intensive care; a float nurse in the emergency department also treats. The mask is in ``info["action_mask"]``. An action that it
    forbids does nothing and is counted as a cost.

    ## Reward
    The team's, the same for every agent, or each agent's own part with ``local_rewards``. Integrals over time are exact.

    | term | value | whose own |
    |---|---|---|
    | ``waiting`` | minus hours of waiting to be seen, weighted by true acuity (16, 8, 4, 2, 1) | ``ed`` |
    | ``waiting_for_beds`` | -2 for each patient-hour of waiting for a bed on the wards or in intensive care, wherever | ``ward``, ``icu`` |
    | ``left_unseen`` | -10 for each patient who leaves unseen or is turned away | ``ed`` |
    | ``early_step_down`` | -10 for each | ``icu`` |
    | ``overtime`` | -2 for each hour that a clinician works beyond the shift | |

    The manager's own reward is all of them.

    ## Cost
    ``target_breaches``: patients seen (or lost, or still waiting at the end) later than their triage category's target.
    ``boarding_above_4_h``: patient-hours of boarding beyond four. ``unsafe_nurse_ratio_h``: unit-hours with more patients for each nurse
    than the ratio. ``refused_high_acuity``: patients of true acuity 1 or 2 who left or were turned away. ``overtime_h``.
    ``expected_excess_deaths``: by ``HarmModel``, from delays and from overloaded nurses; associations, not effects.
    ``forbidden_action``: actions against a mask, of all agents together.

    ## Start
    Monday, midnight. A share of the beds is taken by patients in the middle of their stays, drawn from the law of a stay that is met in
    the middle. Every draw belongs to a patient's number and a purpose: two policies on one seed meet the same arrivals, acuities,
    lengths of stay and patience. ``reset(seed=s, options={"slot": k})``: the k-th hospital of a seed.

    ## End
    Truncated after ``days``: a hospital has no natural end, and agents should bootstrap.

    ## Arguments
    See ``HospitalFlowConfig``. ``config``: a preset (``medsim hospital presets``), a file that ``medsim hospital fit`` wrote, or a
    ``HospitalConfig``. Presets are played at half their size unless ``size`` says otherwise; the smaller, the worse the queues
    (economies of scale: at a fifth three times as many leave unseen).

    ## Fidelity
    The model as a textbook queue is held against queueing theory, within 1 % (``python -m benchmarks.hospital.oracles``,
    ``tests/test_hospital_oracles.py``): M/M/1, M/M/c, M/M/c/K, Erlang's loss with lognormal stays, M/G/1, priorities with and without
    pre-emption, abandonment, tandem, a Jackson network with feedback, a time-varying ward, trunk reservation. Both engines play the same
    episodes (``tests/test_hospital_engines.py``), and Little's law holds to 1e-9 in each unit.

    ## Version History
    v0: first version.
    """

    def __init__(self, *, render_mode: str | None = None, **options: Any) -> None:
        super().__init__(hospital_flow_task(**options), render_mode)
