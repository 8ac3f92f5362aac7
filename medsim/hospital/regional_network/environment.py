"""``medsim/RegionalNetwork-v0``: ambulances, hospitals that divert, and transfers between them; and the two-hospital routing problem."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from medsim.core.options import choice, parse_options, switch, within
from medsim.hospital.harm import HarmModel
from medsim.hospital.regional_network import region as r
from medsim.hospital.regional_network import views
from medsim.hospital.regional_network.ledger import COST_NAMES, TERM_NAMES
from medsim.hospital.regional_network.model import RegionalNetwork
from medsim.hospital.regional_network.provenance import CITATION, provenance, routing_provenance
from medsim.hospital.regional_network.routing import ROUTING_ACTIONS, ROUTING_SEEN, ROUTING_TERMS, TwoHospitalRouting
from medsim.hospital.shells import HospitalParallelEnv
from medsim.hospital.task import HospitalTask

__all__ = ["RegionalNetworkConfig", "RegionalNetworkEnv", "region_of", "regional_network_task"]

ID = "medsim/RegionalNetwork-v0"
HORIZON_H = {"network": 48.0, "routing": 168.0}  # chosen: two days and nights; a week, about 1300 patients


@dataclasses.dataclass(frozen=True, kw_only=True)
class RegionalNetworkConfig:
    """Options of ``medsim/RegionalNetwork-v0``; those from ``lam`` to ``servers_1`` are of ``variant="routing"``, the others not."""

    variant: str = choice("network", "routing", doc="the region, or two hospitals whose best routing is known exactly")
    horizon_h: float | None = within(None, 1.0, 100_000.0, doc="hours watched; None: 48 (network), 168 (routing)")
    hospitals: int = within(4, 2, 8, doc="how many; the first stands in the middle")
    ambulances: int = within(9, 0, 100, doc="how many")
    candidates: int = within(3, 1, 10, doc="of how many nearest ambulances ems can choose one")
    side_km: float = within(20.0, 1.0, 200.0, doc="side of the square region, km")
    calls_per_h: float = within(2.75, 0.0, 100.0, doc="calls an hour in the whole region, mean of the day")
    walk_ins_per_h: float = within(8.25, 0.0, 300.0, doc="walk-ins an hour at all hospitals together, mean of the day")
    ed_places: float | None = within(None, 0.0, 200.0, doc="emergency places a hospital on average; None: 20, 12, 16, 10")
    beds: float | None = within(None, 0.0, 500.0, doc="ward beds a hospital on average; None: 73, 44, 58, 36")
    lam: float = within(8.0, 0.0, 100.0, doc="routing: patients an hour")
    mu_0: float = within(1.0, 0.01, 100.0, doc="routing: patients an hour that a server of hospital 0 treats")
    mu_1: float = within(0.5, 0.01, 100.0, doc="routing: patients an hour that a server of hospital 1 treats")
    servers_0: int = within(6, 1, 50, doc="routing: servers of hospital 0")
    servers_1: int = within(6, 1, 50, doc="routing: servers of hospital 1")
    mask_in_observation: bool = switch(False, doc="observations are dicts with the action mask")
    expose_state: bool = switch(False, doc="put the true state into info")
    local_rewards: bool = switch(False, doc="each agent gets its own part of the reward, not the team's")
    log_events: bool = switch(True, doc="keep the event log")


def regional_network_task(**options: Any) -> HospitalTask:
    """Return the task that the options describe.

    Raises:
        ValueError: an option is unknown, or its value is not allowed.
    """
    config: RegionalNetworkConfig = parse_options(RegionalNetworkConfig, options)
    for name in ("hospitals", "ambulances", "candidates", "servers_0", "servers_1"):
        if int(getattr(config, name)) != getattr(config, name):
            raise ValueError(f"option {name} must be a whole number, not {getattr(config, name)!r}")
    return network_task(config) if config.variant == "network" else routing_task(config)


def region_of(config: RegionalNetworkConfig) -> r.Region:
    """Return the region that the options describe."""
    n = int(config.hospitals)
    return r.Region(
        side_km=config.side_km,
        calls_per_h=config.calls_per_h,
        walk_ins_per_h=config.walk_ins_per_h,
        ed_places=scaled(r.ED_PLACES, n, config.ed_places),
        beds=scaled(r.BEDS, n, config.beds),
        sites=r.hospital_sites(n, config.side_km),
        posts=r.ambulance_posts(int(config.ambulances), config.side_km),
    )


def scaled(pattern: Sequence[int], hospitals: int, mean: float | None) -> tuple[int, ...]:
    """Return a number for each hospital: the pattern's, over again if there are more, to a mean that may be given."""
    numbers = [pattern[i % len(pattern)] for i in range(hospitals)]
    factor = 1.0 if mean is None else mean * hospitals / sum(numbers)
    return tuple(round(number * factor) for number in numbers)


def network_task(config: RegionalNetworkConfig) -> HospitalTask:
    """Return the task of the region."""
    n, k, ambulances = int(config.hospitals), int(config.candidates), int(config.ambulances)
    region, harm = region_of(config), HarmModel()
    horizon_h = HORIZON_H["network"] if config.horizon_h is None else config.horizon_h
    ems = ("nothing", *(f"send ambulance {i}" for i in range(k)), *(f"to hospital {i}" for i in range(n)))
    return HospitalTask(
        id=ID,
        config=config,
        roles={"ems": "ems", "coordinator": "coordinator", **{f"hospital_{i}": "hospital" for i in range(n)}},
        actions={
            "ems": ems,
            "coordinator": ("nothing", *(f"move from {i} to {j}" for i, j in views.pairs(n))),
            "hospital": ("nothing", "divert", "accept"),
        },
        seen={
            "ems": views.ems_seen(n, k, ambulances),
            "coordinator": views.coordinator_seen(n, ambulances),
            "hospital": views.hospital_seen(),
        },
        state_names=views.state_names(n),
        term_names=TERM_NAMES,
        cost_names=COST_NAMES,
        make_model=lambda key: RegionalNetwork(key, region, k, horizon_h, harm, config.log_events),
        horizon_h=horizon_h,
        mask_in_observation=config.mask_in_observation,
        local_rewards=config.local_rewards,
        expose_state=config.expose_state,
        citation=CITATION,
        provenance=lambda: provenance(config, region, harm),
    )


def routing_task(config: RegionalNetworkConfig) -> HospitalTask:
    """Return the task of the routing problem."""
    horizon_h = HORIZON_H["routing"] if config.horizon_h is None else config.horizon_h
    return HospitalTask(
        id=ID,
        config=config,
        roles={"ems": "ems"},
        actions={"ems": ROUTING_ACTIONS},
        seen={"ems": ROUTING_SEEN},
        state_names=("patients in hospital 0", "patients in hospital 1"),
        term_names=ROUTING_TERMS,
        cost_names=(),
        make_model=lambda key: TwoHospitalRouting(
            key,
            arrivals_per_h=config.lam,
            treated_per_h=(config.mu_0, config.mu_1),
            servers=(int(config.servers_0), int(config.servers_1)),
            horizon_h=horizon_h,
            keep_log=config.log_events,
        ),
        horizon_h=horizon_h,
        mask_in_observation=config.mask_in_observation,
        local_rewards=config.local_rewards,
        expose_state=config.expose_state,
        citation=CITATION,
        provenance=lambda: routing_provenance(config),
    )


class RegionalNetworkEnv(HospitalParallelEnv):
    """A region of hospitals: who sends which ambulance, where it goes, which hospital diverts, and who is moved.

    Research simulation, not medical advice, nor advice on how to run a region: it is calibrated on published marginals only.

    ## Description
    Ambulances are called from anywhere in a square region; the caller's true acuity is hidden, the category that the call is given is a
    noisy guess at it. ``ems`` sends one of the nearest available ambulances, and at the scene chooses the hospital. People walk into
    every hospital, too. An emergency department takes patients by triage (again a noisy guess), then in order of arrival. Some must be
    admitted, and hold their place until a ward bed is free (boarding); while no place is free, ambulances are blocked at the door, and so
    cannot answer calls. Hospitals may divert ambulances for two hours; the ``coordinator`` may have a boarding patient moved, if the
    other hospital accepts, which takes an ambulance and about two hours. Everything that waits, waits because of something else.

    ``variant="routing"`` is the smallest such problem: two hospitals, no travel, and only ``ems`` is asked, at each arrival, where to
    send. The best policy is known exactly (``medsim.hospital.theory.routing``).

    ## Observation
    Box, float32, for each agent; names, units and limits are ``env.task.seen``. All see the hour of the day and which question is asked.

    - ``ems``: the call's category, how long ago it came (min), travel of each candidate ambulance and to each hospital (min); calls
      waiting, ambulances available; of each hospital those waiting, boarding and on the way, free places and beds, ambulances blocked,
      whether it diverts.
    - ``hospital_i``: those waiting by triage, boarding (and the longest, h) and on the way, free places and beds, load, ambulances blocked,
      diversion left (h); of the others the mean load and the share that diverts.
    - ``coordinator``: calls waiting, ambulances available; of each hospital those waiting, boarding (the longest, h, too) and on the way,
      free places and beds.
    - ``ems`` of the routing variant: patients in hospital 0 and in hospital 1.

    What a question is about is shown to the agent that is asked only. Never shown: true acuity, stays to come, who will be admitted.

    ## Action
    | role | actions |
    |---|---|
    | ``ems`` | Discrete(1 + candidates + hospitals): nothing, send the nearest, second nearest, ... ambulance; go to hospital 0, 1, ... |
    | ``coordinator`` | Discrete(1 + hospitals (hospitals - 1)): nothing, move who has boarded longest from i to j |
    | ``hospital`` | Discrete(3): nothing, divert, accept the transfer that is offered |
    | ``ems``, routing | Discrete(3): nothing, hospital 0, hospital 1 |

    ``info["action_mask"]`` says what is legal; who is not asked can only do nothing. Hospitals that divert are masked for destinations
    unless all do. Nothing means: hold the call, or the crew at the scene (asked again after ten minutes, calls also when another comes
    or an ambulance is cleared); no diversion (asked again when the load rises past 1, 1.25, 1.5 or 2 patients a place, at the latest
    after two hours); no move in this two-hourly round; decline. In the routing variant nobody can be held: nothing sends to hospital 0.
    Actions that the mask forbids do nothing and are counted (``forbidden_action``).

    ## Reward
    The sum of these terms, the same for all agents; integrals over time are exact. With ``local_rewards`` an agent gets its own part.

    | term | minus | own part of |
    |---|---|---|
    | ``response`` | hours from the call until an ambulance is there, times 16, 8, 4, 2, 1 by true acuity | ``ems`` |
    | ``waiting`` | hours of waiting for a place, times 8, 4, 2, 1, 0.5 by true acuity | the hospital |
    | ``boarding`` | hours of waiting for a bed on a place | the hospital |
    | ``offload`` | 2 times the hours of blocked ambulances | the hospital |
    | ``transfers`` | 1 for each transfer, and its hours from door to bed | ``coordinator`` |
    | ``number_in_system`` (routing) | patient hours in both hospitals: its mean an hour is the cost rate | ``ems`` |

    ## Cost
    ``response_above_8_min``: calls of true acuity 1 or 2 not reached within 8 min, counted when the time is up. ``offload_delay``: hours
    of blocked ambulances beyond 15 min. ``boarding_above_4_h``: hours of waiting for a bed beyond 4 h, transfers among them.
    ``diverted_high_acuity``: patients of true acuity 1 or 2 who are taken past their nearest hospital because it diverts.
    ``expected_excess_deaths``: what published associations (``medsim.hospital.harm``; not effects) would predict from the hours
    between arrival and a ward bed, and from those until acuity 1 is reached. The routing variant has none but ``forbidden_action``.

    ## Start
    Midnight; four fifths of all places and 93 % of the beds are taken, their remaining times drawn as in a long-running hospital; no
    ambulance is under way. The routing variant begins empty.

    ## End
    Truncated after ``horizon_h`` hours (48; routing 168). Nothing terminates: agents bootstrap.

    ## Arguments
    See ``RegionalNetworkConfig``. Routing: ``mu_1=0.25, servers_0=4, servers_1=4, lam=4.2`` is the case in which joining the shortest queue
    loses most. Agents of the routing variant: ``ems`` alone, since nobody else would ever be asked.

    ## Fidelity
    Mean number of patients in both hospitals of the routing problem: exact values, with which the simulation agrees within four standard
    errors (``test_hospital_regional_network.py``). Case A: 6 + 6 servers, mu 1 and 0.5, lam 8 (default); B: 4 + 4, mu 1 and 0.25, lam 4.2.

    | policy | A | B |
    |---|---|---|
    | ``optimal`` | 15.337 | 9.285 |
    | ``shortest-queue`` | 15.745 | 10.492 |
    | ``proportional-split`` | 22.083 | 13.758 |

    | quantity | published or theory | ours | test |
    |---|---|---|---|
    | Little's law in every queue | equal | to 1e-9 | the same file |
    | arrivals by quarter of the day | 12, 24, 36, 28 % (Jones 2022) | 13, 23, 37, 27 % | the same file |
    | admitted among all who come | 31 % (AIHW 2017-18) | 31 % | the same file |

    Simplifications: every call ends in hospital; nobody leaves without being seen; wards do not discharge by the hour of day; an available
    ambulance drives in a straight line to its post. The network's figures are not fitted to any region.

    ## Version History
    v0: first version.
    """

    def __init__(self, render_mode: str | None = None, **options: Any) -> None:
        super().__init__(regional_network_task(**options), render_mode)
