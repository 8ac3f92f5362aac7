"""The region of hospitals: books that balance, ambulances that are in one state each, and the routing problem against its exact values."""

import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test, seed_test
from pettingzoo.test.state_test import state_test
from pettingzoo.utils.conversions import parallel_to_aec

from medsim.hospital.decisions import NOTHING
from medsim.hospital.draws import key_of
from medsim.hospital.evaluation import play_episode
from medsim.hospital.harm import NO_HARM, HarmModel
from medsim.hospital.policy import FunctionHospitalPolicy, HospitalPolicy
from medsim.hospital.regional_network import RegionalNetworkEnv, ambulances, regional_network_task
from medsim.hospital.regional_network import region as r
from medsim.hospital.regional_network.environment import region_of
from medsim.hospital.regional_network.model import RegionalNetwork
from medsim.hospital.regional_network.patients import noisy_level
from medsim.hospital.shells import HospitalShell
from medsim.hospital.theory.routing import TwoHospitals
from medsim.policies.regional_network import POLICIES, ROUTING_HARD, optimal_table, table_of

VARIANTS: tuple[Mapping[str, Any], ...] = ({"horizon_h": 6.0}, {"variant": "routing", "horizon_h": 10.0})
REGION_POLICIES = ("random", "nothing", "nearest", "nearest-no-diversion", "levelled")
ROUTING_POLICIES = ("random", "nothing", "proportional-split", "shortest-queue", "shortest-expected-wait", "optimal")
# advice that does not fit: roles see and do different things, ems is one, two empty hospitals are zeros, with the mask a dict is seen
EXPECTED_WARNINGS = (
    "Observations are different shapes", "Agents have different", "Observation numpy array is all zeros",
    "Observation is not a NumPy array",
    "Observation space for each agent probably", "We recommend agents to be named", "Agents are recommended to have numbered",
)  # fmt: skip
CASES: tuple[Mapping[str, Any], ...] = ({"variant": "routing"}, ROUTING_HARD)


def played(policy: str | HospitalPolicy, *, seed: int = 11, slot: int = 0, **options: Any) -> HospitalShell:
    """Return the shell after an episode."""
    task = regional_network_task(**options)
    shell = HospitalShell(task, None)
    play_episode(task, POLICIES[policy]() if isinstance(policy, str) else policy, seed=seed, slot=slot, shell=shell)
    return shell


def model_of(shell: HospitalShell) -> Any:
    return shell.present_model()


# The API


@pytest.mark.parametrize("options", VARIANTS)
@pytest.mark.parametrize("masked", [False, True])
def test_pettingzoo_accepts_both_variants(options: Mapping[str, Any], masked: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for known in EXPECTED_WARNINGS:
            warnings.filterwarnings("ignore", known)
        parallel_api_test(RegionalNetworkEnv(mask_in_observation=masked, **options), num_cycles=150)
        api_test(parallel_to_aec(RegionalNetworkEnv(mask_in_observation=masked, **options)), num_cycles=150)
        parallel_seed_test(lambda: RegionalNetworkEnv(mask_in_observation=masked, **options))
        seed_test(lambda: parallel_to_aec(RegionalNetworkEnv(mask_in_observation=masked, **options)))


@pytest.mark.parametrize("options", VARIANTS)
def test_bed_boards_are_pictures_of_one_size_or_text(options: Mapping[str, Any]) -> None:
    shapes, texts = set(), set()
    for mode in ("rgb_array", "ansi"):
        env = RegionalNetworkEnv(render_mode=mode, **options)
        env.reset(seed=1)
        for _ in range(12):
            shown = env.render()
            if mode == "ansi":
                texts.add(shown)
            else:
                assert shown.dtype == np.uint8
                shapes.add(shown.shape)
            actions = {agent: int(np.flatnonzero(env.shell.mask_of(agent))[-1]) for agent in env.agents}
            env.step(actions)
    assert len(shapes) == 1
    assert len(texts) > 6  # it changes


@pytest.mark.parametrize("options", VARIANTS)
def test_the_state_is_pettingzoos(options: Mapping[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # advice on limits and on zeros
        state_test(parallel_to_aec(RegionalNetworkEnv(**options)), RegionalNetworkEnv(**options))


@pytest.mark.parametrize("options", VARIANTS)
def test_unmasked_actions_do_nothing_and_are_counted(options: Mapping[str, Any]) -> None:
    env = RegionalNetworkEnv(**options)
    env.reset(seed=3)
    rng, counted, wrong = np.random.default_rng(0), 0.0, 0
    while env.agents:
        masks = {agent: env.shell.mask_of(agent) for agent in env.agents}
        actions = {agent: int(rng.integers(env.action_space(agent).n)) for agent in env.agents}
        wrong += sum(not masks[agent][action] for agent, action in actions.items())
        _, _, _, truncations, infos = env.step(actions)
        counted += infos["ems"]["costs"]["forbidden_action"]
    assert counted == wrong
    assert (wrong > 0) == (options.get("variant") != "routing")  # where only ems is, and always is asked, nothing is forbidden
    assert truncations["ems"]


@pytest.mark.parametrize("options", VARIANTS)
def test_only_who_is_asked_has_a_choice_and_what_is_seen_stays_inside(options: Mapping[str, Any]) -> None:
    env = RegionalNetworkEnv(**options)
    seen, infos = env.reset(seed=4)
    rng = np.random.default_rng(1)
    while env.agents:
        asked = [agent for agent in env.agents if infos[agent]["asked"]]
        assert [agent for agent in env.agents if infos[agent]["action_mask"].sum() > 1] == asked
        assert len(asked) == 1
        assert all(env.observation_space(agent).contains(seen[agent]) for agent in env.agents)
        assert env.state().shape == env.state_space.shape
        actions = {agent: int(rng.choice(np.flatnonzero(infos[agent]["action_mask"]))) for agent in env.agents}
        seen, _, _, _, infos = env.step(actions)
        assert all(value >= 0.0 for value in infos["ems"]["costs"].values())


def test_a_wrong_option_is_refused_with_what_is_allowed() -> None:
    with pytest.raises(ValueError, match="hospitals"):
        regional_network_task(hospitals=1)
    with pytest.raises(ValueError, match="whole"):
        regional_network_task(ambulances=2.5)
    with pytest.raises(ValueError, match="routing"):
        play_episode(regional_network_task(horizon_h=3.0), POLICIES["optimal"](), seed=0)


def test_every_number_of_an_observation_changes_over_episodes() -> None:
    task = regional_network_task(walk_ins_per_h=14.0)
    rows: dict[str, list[np.ndarray]] = {role: [] for role in task.actions}
    for slot in range(3):
        shell = HospitalShell(task, None)
        shell.begin(5, {"slot": slot})
        policy = POLICIES["random"]()
        policy.begin(task, shell.key)
        while shell.request is not None:
            agent = shell.request.agent
            for one in task.agents:
                rows[task.roles[one]].append(np.asarray(shell.observation_of(one)))
            shell.decide({**dict.fromkeys(task.agents, 0), agent: policy.act(agent, rows["ems"][0], shell.request.mask)})
    for role, seen in rows.items():
        spread = np.ptp(np.stack(seen), axis=0)
        assert [name for name, one in zip(task.names_seen(role), spread, strict=True) if one == 0.0] == []


@pytest.mark.parametrize("options", VARIANTS)
def test_same_seed_and_answers_give_the_same_episode_to_the_bit(options: Mapping[str, Any]) -> None:
    one, other = (played("random", seed=9, **options) for _ in range(2))
    assert one.event_log().equals(other.event_log())
    assert model_of(one).metrics() == model_of(other).metrics()
    assert not played("random", seed=10, **options).event_log().equals(one.event_log())


# The routing problem against theory


@pytest.mark.parametrize("options", CASES)
@pytest.mark.parametrize("name", ["shortest-queue", "optimal", "proportional-split"])
def test_mean_number_in_system_agrees_with_the_exact_value(options: Mapping[str, Any], name: str) -> None:
    task = regional_network_task(horizon_h=500.0, log_events=False, **options)
    c = task.config
    pair = TwoHospitals(arrival_rate=c.lam, service_rates=(c.mu_0, c.mu_1), beds=(c.servers_0, c.servers_1))
    exact = {
        "shortest-queue": lambda: pair.evaluate(pair.shortest_queue()).mean_number,
        "optimal": lambda: pair.evaluate(table_of(optimal_table, pair)).mean_number,
        "proportional-split": lambda: pair.random_split().mean_number,
    }[name]()
    warm_up_h, means = 100.0, []
    for slot in range(6):
        shell = HospitalShell(task, None)
        shell.begin(77, {"slot": slot})
        policy, begun_h, hours = POLICIES[name](), 0.0, 0.0
        policy.begin(task, shell.key)
        while shell.request is not None:
            action = policy.act("ems", np.asarray(shell.observation_of("ems")), shell.request.mask)
            ledger, _ = shell.decide({"ems": action})
            if begun_h > 0.0:
                hours -= ledger.terms["number_in_system"]
            elif model_of(shell).time_h > warm_up_h:
                begun_h = model_of(shell).time_h
        means.append(hours / (model_of(shell).time_h - begun_h))
    z = (np.mean(means) - exact) / (np.std(means, ddof=1) / math.sqrt(len(means)))
    assert abs(z) < 4.0


def test_exact_values_are_those_that_the_page_tells() -> None:
    for options, best, queue, split in ((CASES[0], 15.337, 15.745, 22.083), (CASES[1], 9.285, 10.492, 13.758)):
        c = regional_network_task(**options).config
        pair = TwoHospitals(arrival_rate=c.lam, service_rates=(c.mu_0, c.mu_1), beds=(c.servers_0, c.servers_1))
        assert pair.evaluate(table_of(optimal_table, pair)).mean_number == pytest.approx(best, abs=6e-4)
        assert pair.evaluate(pair.shortest_queue()).mean_number == pytest.approx(queue, abs=6e-4)
        assert pair.random_split().mean_number == pytest.approx(split, abs=6e-4)


def test_the_optimal_table_beats_the_shortest_queue_on_the_same_patients() -> None:
    task = regional_network_task(horizon_h=400.0, log_events=False, **ROUTING_HARD)
    gains = [
        sum(play_episode(task, POLICIES["optimal"](), seed=3, slot=slot).terms.values())
        - sum(play_episode(task, POLICIES["shortest-queue"](), seed=3, slot=slot).terms.values())
        for slot in range(6)
    ]
    assert np.mean(gains) > 2.0 * np.std(gains, ddof=1) / math.sqrt(len(gains))


def test_rewards_of_the_routing_problem_are_minus_patient_hours() -> None:
    task = regional_network_task(variant="routing", horizon_h=50.0)
    shell = HospitalShell(task, None)
    result = play_episode(task, POLICIES["shortest-queue"](), seed=2, shell=shell)
    assert result.terms["number_in_system"] == pytest.approx(-result.metrics["mean_number_in_system"] * 50.0, abs=1e-9)


# Books that balance


@pytest.mark.parametrize("name", REGION_POLICIES)
def test_littles_law_holds_in_every_queue(name: str) -> None:
    model = model_of(played(name, walk_ins_per_h=11.0))
    for place, census in model.balance().items():
        integral, times = census.patient_hours()
        assert integral == pytest.approx(times, abs=1e-9 * max(times, 1.0)), place
        assert census.arrived == census.left + census.present, place


@pytest.mark.parametrize("name", ROUTING_POLICIES)
def test_littles_law_holds_in_both_hospitals_of_the_routing_problem(name: str) -> None:
    model = model_of(played(name, variant="routing", horizon_h=80.0))
    for census in model.balance().values():
        integral, times = census.patient_hours()
        assert integral == pytest.approx(times, abs=1e-9 * max(times, 1.0))
        assert census.arrived == census.left + census.present


def test_each_ambulance_is_in_exactly_one_state_at_all_times() -> None:
    shell = played("random", seed=21, walk_ins_per_h=11.0)
    model = model_of(shell)
    hours = {state: model.meters.amount(f"ambulances {state}") for state in ambulances.STATES}
    assert sum(hours.values()) == pytest.approx(len(model.fleet.all) * model.time_h, abs=1e-9 * 48.0 * 9)
    assert all(value > 0.0 for value in hours.values())  # each state occurs, transfers among them
    assert sum(model.fleet.count(state) for state in ambulances.STATES) == len(model.fleet.all)


def test_no_ambulance_is_sent_to_two_patients_at_a_time() -> None:
    log = played("nearest", seed=22).event_log()
    busy: set[str] = set()
    for row in log.itertuples():
        if row.event == "dispatched":
            assert row.place not in busy
            busy.add(row.place)
        elif row.event == "clear":
            busy.remove(row.place)


def test_response_time_begins_with_the_call_and_so_includes_the_wait_for_an_ambulance() -> None:
    shell = played("nearest", ambulances=3)
    log = shell.event_log()
    at = {event: log[log.event == event].set_index("patient").time_h for event in ("call", "dispatched", "on_scene")}
    response = at["on_scene"] - at["call"].loc[at["on_scene"].index]
    travel = at["on_scene"] - at["dispatched"].loc[at["on_scene"].index]
    waited = (at["dispatched"] - at["call"].loc[at["dispatched"].index]).loc[at["on_scene"].index]
    assert (travel > 0.0).all()
    assert (response >= travel - 1e-12).all()
    assert waited.max() > 0.2  # some waited for an ambulance
    told = log[log.event == "on_scene"].set_index("patient").detail.astype(float)
    assert np.allclose(told, travel + waited, atol=1e-6)


def test_rewards_are_the_integrals_that_the_event_log_tells() -> None:
    task = regional_network_task()
    shell = HospitalShell(task, None)
    result = play_episode(task, POLICIES["nearest"](), seed=12, shell=shell)
    log = shell.event_log()
    waiting = response = 0.0
    weights = {"wait": (8.0, 4.0, 2.0, 1.0, 0.5), "response": (16.0, 8.0, 4.0, 2.0, 1.0)}
    called: dict[int, tuple[float, int]] = {}
    arrived: dict[int, tuple[float, int]] = {}
    for row in log.itertuples():
        if row.event == "call":
            called[row.patient] = row.time_h, row.acuity
        elif row.event == "on_scene":
            begun, acuity = called.pop(row.patient)
            response += weights["response"][acuity - 1] * (row.time_h - begun)
        elif row.event == "arrived":
            arrived[row.patient] = row.time_h, row.acuity
        elif row.event == "seen":
            begun, acuity = arrived.pop(row.patient)
            waiting += weights["wait"][acuity - 1] * (row.time_h - begun)
    response += sum(weights["response"][acuity - 1] * (48.0 - begun) for begun, acuity in called.values())
    waiting += sum(weights["wait"][acuity - 1] * (48.0 - begun) for begun, acuity in arrived.values())
    # what is due before the first question is nobody's doing, and is not rewarded
    assert -result.terms["waiting"] == pytest.approx(waiting, rel=2e-3)
    assert -result.terms["response"] == pytest.approx(response, rel=2e-3)


def test_parts_of_the_agents_add_up_to_the_teams_reward() -> None:
    task = regional_network_task(horizon_h=24.0)
    shell = HospitalShell(task, None)
    shell.begin(6, None)
    policy = POLICIES["random"]()
    policy.begin(task, shell.key)
    while shell.request is not None:
        agent = shell.request.agent
        action = policy.act(agent, np.zeros(0, dtype=np.float32), shell.request.mask)
        ledger, _ = shell.decide({**dict.fromkeys(task.agents, 0), agent: action})
        assert sum(ledger.local.values()) == pytest.approx(sum(ledger.terms.values()), abs=1e-9)
        assert set(ledger.local) == set(task.agents)


# Chance does not depend on decisions


@pytest.mark.parametrize("other", ["nothing", "random", "levelled"])
def test_calls_and_walk_ins_are_the_same_under_every_policy(other: str) -> None:
    columns = ["time_h", "patient", "acuity", "detail"]
    logs = [played(name, seed=31).event_log() for name in ("nearest", other)]
    calls = [log[log.event == "call"][columns].reset_index(drop=True) for log in logs]
    assert len(calls[0]) > 80
    assert calls[0].equals(calls[1])
    walk_ins = [log[(log.event == "arrived") & (log.patient >= 1_000_000)] for log in logs]
    walk_ins = [rows[["time_h", "patient", "acuity", "triage"]].reset_index(drop=True) for rows in walk_ins]
    assert len(walk_ins[0]) > 300
    assert walk_ins[0].equals(walk_ins[1])


def test_arrivals_follow_the_published_quarters_of_the_day() -> None:
    hours = np.linspace(0.0, 24.0, 24_001)[:-1]
    factor = np.array([r.hourly_factor(hour) for hour in hours])
    assert factor.mean() == pytest.approx(1.0, abs=1e-6)
    quarters = factor.reshape(4, -1).mean(axis=1) / 4.0
    assert quarters == pytest.approx([0.12, 0.24, 0.36, 0.28], abs=0.016)  # Jones 2022
    log = played("nothing", seed=41, horizon_h=24.0 * 20, calls_per_h=20.0, walk_ins_per_h=0.0, ambulances=0).event_log()
    counted = np.histogram(log[log.event == "call"].time_h % 24.0, bins=4, range=(0.0, 24.0))[0]
    expected = quarters * 20.0 * 24 * 20
    assert np.all(np.abs(counted - expected) < 4.0 * np.sqrt(expected))


def test_the_published_share_of_each_acuity_is_admitted() -> None:
    log = played("nearest", seed=42, horizon_h=72.0, ed_places=100.0, walk_ins_per_h=40.0, calls_per_h=0.0).event_log()
    decided = log[log.event.isin(["went_home", "boarding"])]
    for acuity in range(2, 6):
        chosen = decided[decided.acuity == acuity].event == "boarding"
        share = r.ADMITTED[acuity - 1]
        assert abs(chosen.mean() - share) < 4.0 * math.sqrt(share * (1.0 - share) / len(chosen)), acuity


def test_triage_is_wrong_as_often_as_published() -> None:
    levels = [noisy_level(3, (k + 0.5) / 10_000, r.TRIAGE_ERRORS) for k in range(10_000)]
    assert levels.count(2) / 10_000 == pytest.approx(0.289, abs=1e-3)  # Sax 2023
    assert levels.count(4) / 10_000 == pytest.approx(0.033, abs=1e-3)


def test_both_ways_of_coming_together_have_the_published_acuity() -> None:
    mix = 0.25 * np.array(r.AMBULANCE_ACUITY) + 0.75 * np.array(r.WALK_IN_ACUITY)
    assert mix == pytest.approx([0.008, 0.13, 0.37, 0.40, 0.092], abs=1e-4)
    assert float(mix @ r.ADMITTED) == pytest.approx(0.31, abs=0.01)  # AIHW 2017-18


# The rules of the region


def test_hospitals_that_divert_get_no_ambulance_unless_all_do() -> None:
    log = played("random", seed=51).event_log()
    diverting: set[str] = set()
    around = 0
    for row in log.itertuples():
        if row.event == "diverts":
            diverting.add(row.place)
        elif row.event == "diversion_ends":
            diverting.remove(row.place)
        elif row.event == "leaves_scene":
            assert row.place not in diverting or len(diverting) == 4
            around += bool(diverting)
    assert around > 20


def test_the_emergency_department_takes_by_triage_then_in_order_of_arrival() -> None:
    log = played("nearest", seed=52, walk_ins_per_h=12.0).event_log()
    waiting: dict[str, list[tuple[int, float, int]]] = {}
    for row in log.itertuples():
        queue = waiting.setdefault(row.place, [])
        if row.event == "arrived":
            queue.append((row.triage, row.time_h, row.patient))
        elif row.event == "seen":
            assert min(queue)[2] == row.patient
            queue.remove(min(queue))


def test_a_transfer_takes_an_ambulance_and_moves_the_longest_boarder_to_a_bed_elsewhere() -> None:
    shell = played("levelled", seed=5, slot=2)
    log, model = shell.event_log(), model_of(shell)
    moved = log[log.event == "in_bed_after_transfer"]
    assert len(moved) > 0
    for row in moved.itertuples():
        own = log[log.patient == row.patient]
        collected = own[own.event == "collected"].iloc[0]
        assert collected.place != row.place
        assert row.time_h > collected.time_h
    assert model.meters.amount("ambulances transfer") > 0.5 * len(moved)


def test_a_declined_transfer_moves_nobody() -> None:
    def decide(agent: str, seen: Any, mask: Any) -> int:
        return int(np.flatnonzero(mask)[-1]) if agent == "coordinator" else NOTHING

    model = model_of(played(FunctionHospitalPolicy("pushing", decide), seed=54, walk_ins_per_h=11.0))
    assert model.counts["offers"] == model.counts["declined"] > 0
    assert model.counts["transfers"] == 0


@pytest.mark.parametrize(("harm", "grows"), [(HarmModel(), True), (NO_HARM, False)])
def test_expected_deaths_grow_with_delay_and_only_by_the_association(harm: HarmModel, grows: bool) -> None:
    region = region_of(regional_network_task().config)
    busier = r.Region(**{**vars(region), "walk_ins_per_h": 14.0})
    deaths = []
    for one in (region, busier):
        model = RegionalNetwork(key_of(55), one, 3, 36.0, harm, False)
        model.run()
        while model.request is not None:
            model.answer(int(np.flatnonzero(model.request.mask)[1]) if model.request.agent == "ems" else NOTHING)
            model.run()
        deaths.append(model.drain().costs["expected_excess_deaths"])
    assert (deaths[1] > deaths[0] > 0.0) if grows else deaths == [0.0, 0.0]


# Extremes


EXTREMES: dict[str, Mapping[str, Any]] = {
    "no arrivals": {"calls_per_h": 0.0, "walk_ins_per_h": 0.0},
    "no ambulances": {"ambulances": 0},
    "one ambulance": {"ambulances": 1},
    "no places": {"ed_places": 0.0},
    "no beds": {"beds": 0.0},
    "overload": {"walk_ins_per_h": 80.0, "calls_per_h": 25.0, "horizon_h": 24.0},
    "eight hospitals": {"hospitals": 8, "candidates": 10},
    "two hospitals": {"hospitals": 2, "candidates": 1},
}


@pytest.mark.parametrize("extreme", EXTREMES)
@pytest.mark.parametrize("name", ["random", "nothing", "levelled"])
def test_extremes_end_at_the_horizon_with_balanced_books(extreme: str, name: str) -> None:
    options = {"horizon_h": 36.0, **EXTREMES[extreme]}
    model = model_of(played(name, seed=61, **options))
    assert model.time_h == pytest.approx(options["horizon_h"])
    for census in model.balance().values():
        integral, times = census.patient_hours()
        assert integral == pytest.approx(times, abs=1e-9 * max(times, 1.0))
        assert census.arrived == census.left + census.present


def test_without_ambulances_calls_wait_for_ever() -> None:
    model = model_of(played("nearest", ambulances=0))
    assert model.calls.left == 0
    assert model.calls.present == model.calls.arrived > 50


def test_a_hospital_without_beds_boards_all_whom_it_admits() -> None:
    region = region_of(regional_network_task().config)
    without = r.Region(**{**vars(region), "beds": (0, *region.beds[1:])})
    model = RegionalNetwork(key_of(8), without, 3, 24.0, HarmModel(), True)
    model.run()
    while model.request is not None:
        model.answer(int(np.flatnonzero(model.request.mask)[1]) if model.request.agent == "ems" else NOTHING)
        model.run()
    assert model.hospitals[0].boarding.arrived == model.hospitals[0].boarding.present > 5


def test_an_empty_region_costs_nothing_after_those_present_have_gone() -> None:
    result = play_episode(regional_network_task(calls_per_h=0.0, walk_ins_per_h=0.0, beds=200.0), POLICIES["nothing"](), seed=1)
    assert sum(result.terms.values()) == 0.0
    harm = result.costs.pop("expected_excess_deaths")  # of those who were there at the start and are admitted after long treatment
    assert 0.0 < harm < 0.2
    assert all(value == 0.0 for value in result.costs.values())


def test_doing_nothing_keeps_the_clock_moving_without_flooding_the_agents() -> None:
    result = play_episode(regional_network_task(), POLICIES["nothing"](), seed=2)
    assert 100 < result.decisions < 1500
    assert result.costs["response_above_8_min"] > 0.0
