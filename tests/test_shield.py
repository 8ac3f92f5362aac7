"""Shields: what needs no guard passes to the bit, what is harmful is stopped, and the log adds up."""

import numpy as np
import pytest

from medsim.core.vector import PatientVectorEnv
from medsim.evaluation.rollout import evaluate, rollout
from medsim.policies import reference_policies
from medsim.policies.grid import GRIDS
from medsim.policies.policy import FunctionPolicy, RandomPolicy
from medsim.registry import make_task
from medsim.safety.shield import (
    GLUCOSE_RULES,
    SEPSIS_RULES,
    Foreign,
    Intervention,
    Shield,
    SimulatorLookahead,
)

SEPSIS, GLUCOSE = "medsim/Sepsis-v0", "medsim/Glucose-v0"
DOSES = {"action": "continuous", "bolus": True}
FAST = {"fidelity": "fast"}


def sepsis(name):
    return reference_policies(SEPSIS)[name]()


def glucose(name):
    return reference_policies(GLUCOSE)[name]()


def most_insulin():
    return FunctionPolicy("most insulin", lambda seen: np.full((len(seen), 2), 20.0), DOSES)


def played(env_id, policy, n=16, **options):
    env = PatientVectorEnv(make_task(env_id, **{**policy.options, **options}), n, autoreset_mode="disabled", threads=1)
    return rollout(env, policy, seed=3), env


class Noted:
    """A policy whose actions are written down."""

    def __init__(self, policy):
        self.policy, self.name, self.options, self.actions = policy, policy.name, policy.options, []

    def begin(self, env):
        self.actions = []
        self.env, self.alive = env, []
        self.policy.begin(env)

    def act(self, observations):
        self.actions.append(np.asarray(self.policy.act(observations)).copy())
        self.alive.append(self.env.running)
        return self.actions[-1]


# Harm is stopped


def test_the_largest_doses_behind_a_look_ahead_are_the_protocol():
    """Every proposal is 1 mcg/kg/min, so every one is refused for those whom the protocol gives less."""
    guard = SimulatorLookahead(steps=1, cost_limits={"high_norepinephrine": 0.5})
    shield = Shield(sepsis("always-maximum"), sepsis("surviving-sepsis"), lookahead=guard)
    ours, protocol, bare = (evaluate(SEPSIS, policy, patients=40) for policy in (shield, sepsis("surviving-sepsis"), shield.policy))
    assert np.array_equal(ours.returns, protocol.returns)
    assert all(np.array_equal(ours.costs[name], protocol.costs[name]) for name in ours.costs)
    assert bare.returns.mean() < -0.5 < 0.2 < ours.returns.mean()
    assert shield.counts() == {"simulator look-ahead: high_norepinephrine": 40 * 72}


def test_the_most_insulin_is_nearly_harmless_behind_the_rules_and_behind_the_look_ahead_too_as_harmless_as_the_protocol():
    guard = SimulatorLookahead(steps=72, cost_limits={"glucose_below_54": 0.0})  # insulin acts for hours
    ruled = Shield(most_insulin(), glucose("basal-bolus"), rules=GLUCOSE_RULES)
    both = Shield(most_insulin(), glucose("basal-bolus"), rules=GLUCOSE_RULES, lookahead=guard)
    policies = (most_insulin(), ruled, both, glucose("basal-bolus"))
    bare, by_rules, by_both, protocol = (evaluate(GLUCOSE, policy, options=FAST, patients=6) for policy in policies)
    assert bare.outcomes.count("severe_hypoglycaemia") == 6
    assert by_rules.outcomes.count("severe_hypoglycaemia") <= 1
    assert by_both.outcomes == protocol.outcomes == ["day_completed"] * 6
    assert bare.returns.mean() < -200.0 < protocol.returns.mean() - 1.0 < by_both.returns.mean()


def test_a_look_ahead_of_six_hours_spares_those_whom_most_insulin_would_harm():
    guard = SimulatorLookahead(steps=72, cost_limits={"glucose_below_70": 0.0}, outcomes=("severe_hypoglycaemia",))
    shield = Shield(most_insulin(), glucose("fixed-basal"), lookahead=guard)
    ours = evaluate(GLUCOSE, shield, options=FAST, patients=5)
    assert ours.outcomes.count("day_completed") == 5
    assert ours.costs["glucose_below_54"].sum() == 0.0
    assert {one.done for one in shield.interventions} != {(20.0, 20.0)}


# What needs no guard


def test_a_policy_that_needs_no_intervention_passes_to_the_bit():
    guards = {"rules": SEPSIS_RULES, "lookahead": SimulatorLookahead(steps=5, cost_limits={"fluid_overload": 1e9}),
              "foreign": Foreign(score=lambda seen: np.zeros(len(seen)), threshold=0.0)}  # fmt: skip
    bare, free = Noted(sepsis("no-treatment")), played(SEPSIS, sepsis("no-treatment"))[0]
    guarded = Noted(Shield(bare, sepsis("surviving-sepsis"), **guards))
    kept, _ = played(SEPSIS, guarded)
    assert guarded.policy.interventions == []
    assert all(np.array_equal(one, other) for one, other in zip(bare.actions, guarded.actions, strict=True))
    assert np.array_equal(kept.rewards, free.rewards)
    assert all(np.array_equal(kept.measures[name], free.measures[name]) for name in free.measures)


def test_a_look_ahead_foresees_what_then_happens_and_leaves_the_course_as_it_was():
    policy = glucose("pid-ifb")  # it remembers
    task = make_task(GLUCOSE, **DOSES, **FAST)
    free, _ = played(GLUCOSE, glucose("pid-ifb"), **FAST)
    happens = free.costs["glucose_below_70"]
    env = PatientVectorEnv(task, 16, autoreset_mode="disabled", threads=1)
    seen, _ = env.reset(seed=3)
    policy.begin(env)
    met = 0
    for step in range(240):
        actions = policy.act(seen)
        if step % 20 == 0:
            coming = happens[step : step + 30].sum(axis=0)
            for limit in (0.0, 5.0, 12.0):
                guard = SimulatorLookahead(steps=30, cost_limits={"glucose_below_70": limit})
                assert guard.foresee(env, actions, policy)["glucose_below_70"].tolist() == (coming > limit).tolist()
            met += (coming > 5.0).sum()
        env.step_running(actions)
        seen = env.observations()
    assert met > 5
    assert np.array_equal(np.where(env.running, env.batch.out[0], 0.0), free.rewards[239])


# The log


def test_the_log_adds_up():
    wild = Noted(FunctionPolicy("wild", RandomPolicy().act, {"action": "continuous"}))
    wild.policy = RandomPolicy()
    foreign = Foreign(score=lambda seen: seen[:, 0], threshold=60.0)  # the last 11 hours
    guard = SimulatorLookahead(steps=3, cost_limits={"high_norepinephrine": 1.5}, outcomes=("died_within_72_h",))
    shield = Shield(wild, sepsis("surviving-sepsis"), rules=SEPSIS_RULES[:1], lookahead=guard, foreign=foreign)
    given = Noted(shield)
    trace, _ = played(SEPSIS, given)
    log = {(one.step, one.patient): one for one in shield.interventions}
    assert len(log) == len(shield.interventions) > 100
    for step, (proposed, done, alive) in enumerate(zip(wild.actions, given.actions, given.alive, strict=True)):
        for row in range(16):
            one = log.get((step, row))
            changed = not np.array_equal(proposed[row], done[row])
            assert one is None or alive[row]
            if one is None:
                assert not (changed and alive[row])
            else:
                assert one.proposed == tuple(proposed[row].tolist())
                assert one.done == tuple(done[row].tolist())
    counts = shield.counts()
    assert sum(counts.values()) == sum(len(one.why) for one in shield.interventions)
    assert counts["foreign observation"] == sum(int(lived > step) for lived in trace.steps_lived for step in range(61, 72))
    assert counts["norepinephrine above 1 mcg/kg/min"] > 50
    assert all(one.done[1] <= 1.0 for one in shield.interventions if one.why == ("norepinephrine above 1 mcg/kg/min",))
    shield.begin(given.env)
    assert shield.interventions == []


def test_an_intervention_has_every_reason_in_turn():
    policy = FunctionPolicy("flood", lambda seen: np.tile([1000.0, 2.0], (len(seen), 1)), {"action": "continuous"})
    shield = Shield(policy, sepsis("no-treatment"), rules=SEPSIS_RULES)
    played(SEPSIS, shield, n=4)
    assert shield.interventions[0] == Intervention(0, 0, (1000.0, 2.0), (1000.0, 1.0), ("norepinephrine above 1 mcg/kg/min",))
    last = shield.interventions[-1]
    assert last.why == ("norepinephrine above 1 mcg/kg/min", "fluid beyond a tenth of body weight")
    assert last.done[0] < 1000.0


# Grids


@pytest.mark.parametrize(
    ("env_id", "options", "count"),
    [(SEPSIS, {}, 25), (SEPSIS, {"antibiotics": "agent"}, 50), (GLUCOSE, {}, 8), (GLUCOSE, {"bolus": True}, 40)],
)
def test_a_grid_turns_actions_into_doses_and_back(env_id, options, count):
    grid, actions = GRIDS[env_id](make_task(env_id, **options).config), np.arange(count)
    unit = grid.units(lambda name: np.linspace(0.1, 3.0, count), count)
    doses = grid.doses(actions, unit)
    assert len(np.unique(doses / unit[:, None], axis=0)) == count
    assert grid.below(doses, unit).tolist() == grid.nearest(doses, unit).tolist() == actions.tolist()
    assert (grid.doses(grid.below(0.99 * doses, unit), unit) <= 0.99 * doses).all()


def test_on_a_grid_a_rule_takes_the_next_level_below():
    most = FunctionPolicy("most", lambda seen: np.full(len(seen), 7))
    own = FunctionPolicy("own basal", lambda seen: np.full(len(seen), 2))
    shield = Shield(most, own, rules=GLUCOSE_RULES)
    ours, bare = (evaluate(GLUCOSE, policy, options=FAST, patients=20) for policy in (shield, most))
    assert {(0.0,), (2.0,)} < {one.done for one in shield.interventions} <= {(float(action),) for action in range(7)}
    assert bare.outcomes.count("severe_hypoglycaemia") == 20 > 15 < ours.outcomes.count("day_completed")
    assert ours.costs["glucose_below_54"].sum() < 0.5 * bare.costs["glucose_below_54"].sum()


def test_boluses_on_the_grid_are_ruled_too():
    most = FunctionPolicy("most", lambda seen: np.full(len(seen), 39), {"bolus": True})
    own = FunctionPolicy("own basal", lambda seen: np.full(len(seen), 10), {"bolus": True})
    shield = Shield(most, own, rules=GLUCOSE_RULES)
    ours, bare = (evaluate(GLUCOSE, policy, options=FAST, patients=10) for policy in (shield, most))
    assert {"bolus at low glucose", "bolus above the calculator's", "basal insulin at low glucose"} <= set(shield.counts())
    assert bare.outcomes.count("severe_hypoglycaemia") == 10 > 3 > ours.outcomes.count("severe_hypoglycaemia")


# What is refused


def test_wrong_guards_are_refused_by_name():
    with pytest.raises(ValueError, match="a look-ahead takes 1 step or more, not 0"):
        SimulatorLookahead(steps=0, cost_limits={"a": 1.0})
    with pytest.raises(ValueError, match="a look-ahead needs cost_limits or outcomes to look for"):
        SimulatorLookahead(steps=1)
    with pytest.raises(ValueError, match=r"no-treatment acts under the options .* and the fall-back most insulin under"):
        Shield(sepsis("no-treatment"), most_insulin())
    protocol = sepsis("surviving-sepsis")
    with pytest.raises(ValueError, match="has no cost 'hunger'; it has map_below_65, fluid_overload"):
        played(SEPSIS, Shield(protocol, protocol, lookahead=SimulatorLookahead(cost_limits={"hunger": 1.0})))
    with pytest.raises(ValueError, match="has no outcome 'died'; it has died_within_72_h, died_by_day_28"):
        played(SEPSIS, Shield(protocol, protocol, lookahead=SimulatorLookahead(outcomes=("died",))))
    grid = FunctionPolicy("grid", lambda seen: np.zeros(len(seen), dtype=int))
    with pytest.raises(ValueError, match=r"rules are on doses, and medsim/SepsisSCM-v0 takes Discrete\(8\): say what it means with grid="):
        played("medsim/SepsisSCM-v0", Shield(grid, grid, rules=SEPSIS_RULES))
    env = PatientVectorEnv(make_task(SEPSIS, action="continuous"), 2, autoreset_mode="same_step", threads=1)
    with pytest.raises(ValueError, match=r"a shield needs autoreset_mode='disabled', not 'SameStep'"):
        Shield(protocol, protocol).begin(env)


@pytest.mark.parametrize("rule", [*SEPSIS_RULES, *GLUCOSE_RULES], ids=lambda rule: rule.name)
def test_every_rule_has_a_reason_and_leaves_nothing_that_it_forbids(rule):
    rng = np.random.default_rng(0)
    sepsis_rule = rule in SEPSIS_RULES
    task = make_task(SEPSIS, action="continuous") if sepsis_rule else make_task(GLUCOSE, **DOSES)
    seen = rng.uniform(task.view.low, np.minimum(task.view.high, 2e4), (500, len(task.view.names)))
    doses = rng.uniform(0.0, [500.0, 2.0] if sepsis_rule else [20.0, 20.0], (500, 2))

    def read(name):
        return seen[:, task.view.names.index(name)]

    against = rule.forbids(read, doses)
    assert 0 < against.sum() < 500
    assert not rule.forbids(read, rule.instead(read, doses)).any()
    assert len(rule.reason) > 30
