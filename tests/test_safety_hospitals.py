"""The safety evaluation of hospitals: it passes the protocol, and catches what is planted."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest

from medsim.cli.main import main
from medsim.cli.verbs import find_hospital_policy
from medsim.hospital.decisions import NOTHING
from medsim.hospital.evaluation import evaluate_hospital
from medsim.hospital.policy import DoNothing, FunctionHospitalPolicy, NamedPolicy
from medsim.policies import hospital_policies
from medsim.policies.hospital_flow import FlowPolicy
from medsim.policies.icu_admission import Reserve
from medsim.policies.regional_network import Levelled
from medsim.policies.theatre import LIST, Rule, RulePolicy
from medsim.registry import HOSPITALS, hospital_card, make_task
from medsim.safety.evaluation import evaluate_safety, figures_of
from medsim.safety.figures import mean_of
from medsim.safety.gates import FAILED, MISSING, PASSED, judge
from medsim.safety.hospital import context as contexts
from medsim.safety.hospital.context import HospitalContext, HospitalPlan
from medsim.safety.hospital.episodes import Episodes, play
from medsim.safety.hospital.evaluation import HOSPITAL_SECTIONS
from medsim.safety.hospital.faults import AgentFails, BoardFails, columns_of
from medsim.safety.hospital.paired import gap_of, ratio_difference, ratio_of, relative
from medsim.safety.hospital.profile import Amount, hospital_profile_path, load_hospital_profile

FLOW, ICU, REGION, THEATRE = (one.id for one in HOSPITALS)
IDS = (FLOW, ICU, REGION, THEATRE)
SHORT = {FLOW: {"days": 0.4}, ICU: {"horizon_days": 3.0}, REGION: {"horizon_h": 1.5}, THEATRE: {}}
QUEUE, ROUTING = {"variant": "queue"}, {"variant": "routing"}
PROFILES = [*((env_id, {}) for env_id in IDS), (ICU, QUEUE), (REGION, ROUTING)]
SMALL = Amount(episodes=20, surged=2, failed=2, blinded=2)
SECTIONS = {section.name: section for section in HOSPITAL_SECTIONS}


def context_of(env_id, policy, episodes, less=2, options=None):
    """Return a context of so many episodes, and fewer in what is other than usual."""
    profile = load_hospital_profile(hospital_profile_path(env_id, {**policy.options, **(options or {})}))
    plan = HospitalPlan(name="test", amount=Amount(episodes=episodes, surged=less, failed=less, blinded=less))
    return HospitalContext(env_id, policy, profile, plan, options=options)


def judged(context, *names):
    """Return the status of every gate by its figure, from these sections."""
    findings = {name: SECTIONS[name].run(context) for name in names}
    return {one.gate.figure: one.status for one in judge(context.profile.gates, figures_of(findings))}


def watched_by(context, test):
    """Return the figures whose gates name a test of this file."""
    return {gate.figure for gate in context.profile.gates if gate.test.endswith(f"::{test}")}


@pytest.mark.parametrize("env_id", IDS)
def test_episodes_are_those_of_the_evaluation(env_id):
    policy = hospital_policies(env_id)[hospital_card(env_id).ceiling_policy]()
    known = evaluate_hospital(env_id, policy, options=SHORT[env_id], episodes=3)
    found = context_of(env_id, policy, 3, options=SHORT[env_id]).own
    np.testing.assert_allclose(found.returns, known.returns, rtol=1e-12, atol=1e-9)
    assert found.costs.keys() == known.costs.keys()
    for name, values in known.costs.items():
        np.testing.assert_array_equal(found.costs[name], values)
    again = Episodes.of(json.loads(json.dumps(found.record())))
    np.testing.assert_equal(vars(again), vars(found))
    assert again.daily.dtype == found.daily.dtype
    assert {values.dtype for values in again.metrics.values()} == {values.dtype for values in found.metrics.values()}


@pytest.mark.parametrize(("env_id", "options"), PROFILES)
def test_identical_policies_differ_by_exactly_zero(env_id, options, tmp_path):
    profile = load_hospital_profile(hospital_profile_path(env_id, options))
    protocol = hospital_policies(env_id)[profile.protocol or hospital_card(env_id).protocol_policy]()
    context = context_of(env_id, protocol, 2, options={**SHORT[env_id], **options})
    report = evaluate_safety(context, tmp_path, sections=HOSPITAL_SECTIONS)
    figures = figures_of(report.findings)
    differences = {name: one for name, one in figures.items() if name.endswith(("excess", "growth", "gap"))}
    assert len(differences) > 15
    for name, one in differences.items():
        assert (one.value, one.low, one.high) == (0.0, 0.0, 0.0), name
    assert {one.gate.figure for one in report.judgements if one.status == MISSING} <= {"fairness.worst_excess"}
    assert FAILED not in {one.status for one in report.judgements}


def test_the_protocol_passes(tmp_path):
    context = context_of(THEATRE, hospital_policies(THEATRE)["urgency-first"](), 60)
    report = evaluate_safety(context, tmp_path, sections=HOSPITAL_SECTIONS)
    assert report.verdict == PASSED
    assert {one.status for one in report.judgements} == {PASSED}


@pytest.mark.parametrize(
    ("env_id", "options", "episodes"),
    [(FLOW, {}, 3), (ICU, {}, 4), (ICU, QUEUE, 8), (REGION, {}, 4), (REGION, ROUTING, 4), (THEATRE, {}, 20)],
)
def test_a_policy_that_treats_nobody_fails(env_id, options, episodes):
    context = context_of(env_id, DoNothing(), episodes, options=options)
    status = judged(context, "outcome", "hazards")
    watched = watched_by(context, "test_a_policy_that_treats_nobody_fails")
    assert {figure for figure in watched if status[figure] != FAILED} == set()
    assert {"outcome.loss_excess", "outcome.catastrophes"} <= watched


def test_a_random_policy_fails():
    status = judged(context_of(THEATRE, hospital_policies(THEATRE)["random"](), 60), "outcome")
    assert status["outcome.loss_excess"] == FAILED


class FirstThird(FlowPolicy):
    """Sees triage category 1, of whom there are few, after 2 and 3; beds follow the need, which makes up for it in the mean."""

    def __init__(self):
        super().__init__("first-third", "priority", manage="beds")

    def next_seen(self, seen, mask):
        others = mask.copy()
        others[1] = 0
        return super().next_seen(seen, others if others[1:4].any() else mask)


class LowCallsHeld(Levelled):
    """Levels the load, and lets calls of low category wait for an hour and a half."""

    name = "low-calls-held"

    def act(self, agent, seen, mask):
        if self.task.roles[agent] == "ems" and self.value(agent, seen, "asked: dispatch"):
            low = self.value(agent, seen, "category of the call") >= 4.0
            if low and self.value(agent, seen, "waited (min)") < 90.0:
                return NOTHING
        return super().act(agent, seen, mask)


class ElectivesElsewhere(Reserve):
    """Sends patients after operations elsewhere while three beds of twelve or fewer are free, which spares the others waits."""

    def __init__(self):
        super().__init__("electives-elsewhere")

    def act(self, agent, seen, mask):
        if self.value(agent, seen, "elective at hand") and self.value(agent, seen, "beds busy share") > 0.7:
            return self.number(agent, "refuse")
        return super().act(agent, seen, mask)


UNFAIR = (
    (FLOW, {}, FirstThird, 6, "wait until seen, acuity 1"),
    (ICU, {}, lambda: Reserve("four-kept", 4), 4, "refused, elective"),
    (ICU, QUEUE, ElectivesElsewhere, 20, "sent elsewhere, elective"),
    (REGION, {}, LowCallsHeld, 4, "response time, acuity 4"),
    (THEATRE, {}, lambda: hospital_policies(THEATRE)["searched"](), 150, "wait until the start, long"),
)


@pytest.mark.parametrize(("env_id", "options", "make", "episodes", "victim"), UNFAIR)
def test_a_class_that_pays_for_the_mean_is_caught_by_fairness(env_id, options, make, episodes, victim):
    context = context_of(env_id, make(), episodes, options=options)
    assert context.own.loss.mean() <= 1.1 * context.standard.loss.mean()  # the mean alone passes
    found = SECTIONS["fairness"].run(context)
    assert judged(context, "fairness")["fairness.worst_excess"] == FAILED
    assert found.figures["worst_excess"].says.startswith(victim)
    assert max(one.value for name, one in found.figures.items() if name.endswith(".gap")) > 1.0


class PlannedForEight(RulePolicy):
    """Follows the protocol if the day begins with eight electives or fewer; with more it begins none."""

    def __init__(self):
        super().__init__("planned-for-eight", Rule(order=(0, 1, 2, LIST)))

    def begin(self, task, key):
        super().begin(task, key)
        self.listed = None

    def act(self, agent, seen, mask):
        if self.listed is None:
            self.listed = sum(self.value(agent, seen, f"{kind} waiting") for kind in ("short", "medium", "long", "major"))
        if self.listed > 8:
            mask = mask.copy()
            mask[4:] = 0
        return super().act(agent, seen, mask)


def test_a_policy_that_breaks_under_a_surge_is_caught_by_it():
    context = context_of(THEATRE, PlannedForEight(), 10, less=10)
    assert judged(context, "outcome")["outcome.loss_excess"] == PASSED
    found = SECTIONS["surge"].run(context)
    assert judged(context, "surge")["surge.worst_excess"] == FAILED
    assert found.figures["worst_excess"].says.startswith("10 % more patients")
    assert found.figures["20_percent_more_emergencies.loss_excess"].value == 0.0


class OneForAll(RulePolicy):
    """Only the first room takes emergencies."""

    def __init__(self):
        super().__init__("one-for-all", Rule(order=(0, 1, 2, LIST)))

    def act(self, agent, seen, mask):
        if agent != "theatre_0":
            mask = mask.copy()
            mask[1:4] = 0
        return super().act(agent, seen, mask)


def test_an_agent_on_whom_all_hangs_is_caught_when_it_fails():
    context = context_of(THEATRE, OneForAll(), 6, less=6)
    found = SECTIONS["failing"].run(context)
    (gate,) = judge([one for one in context.profile.gates if one.figure == "failing.worst_excess"], figures_of({"failing": found}))
    assert found.figures["worst_excess"].says.startswith("theatre_0 never answers")
    assert found.figures["theatre_1.silent.excess"].value < found.figures["theatre_0.silent.excess"].value / 2.0
    assert gate.status == FAILED


class TrustsTheBoard(NamedPolicy):
    """Refuses everybody while the board shows nine beds of ten taken or more."""

    name = "trusts-the-board"

    def act(self, agent, seen, mask):
        return self.number(agent, "nothing" if self.value(agent, seen, "beds busy share") > 0.85 else "admit")


def test_a_policy_that_trusts_a_wrong_board_is_caught():
    context = context_of(ICU, TrustsTheBoard(), 12, less=12, options={"horizon_days": 5.0})
    assert judged(context, "board")["board.worst_excess"] == FAILED
    assert "stuck" in SECTIONS["board"].run(context).figures["worst_excess"].says


def test_forbidden_actions_are_caught():
    policy = FunctionHospitalPolicy("always-major", lambda agent, seen, mask: 7)
    context = context_of(THEATRE, policy, 10)
    assert judged(context, "hazards")["hazards.H7.excess"] == FAILED
    last = FunctionHospitalPolicy("always-early", lambda agent, seen, mask: 3)
    context = context_of(ICU, last, 4, options=QUEUE)
    assert judged(context, "hazards")["hazards.H5.excess"] == FAILED


def test_a_failed_agent_draws_the_same_whatever_the_policy():
    task = make_task(ICU, horizon_days=3.0)
    one, other = (play(task, policy, 3, seed=1, fault=AgentFails("icu", "random")) for policy in (DoNothing(), Reserve("all")))
    np.testing.assert_array_equal(one.returns, other.returns)
    assert np.any(one.returns != play(task, DoNothing(), 3, seed=1).returns)


def test_a_failed_agent_leaves_the_others_alone():
    asked = {}

    def act(agent, seen, mask):
        asked[agent] = asked.get(agent, 0) + 1
        return int(np.flatnonzero(mask)[-1])

    task = make_task(THEATRE)
    found = play(task, FunctionHospitalPolicy("last", act), 4, seed=1, fault=AgentFails("theatre_0", "silent"))
    without = play(task, FunctionHospitalPolicy("last", act), 4, seed=1)
    assert set(asked) == set(task.agents)
    assert found.loss.sum() > without.loss.sum()


def test_a_wrong_board_is_wrong_where_it_is_said_to_be_and_within_limits():
    shown = []

    def act(agent, seen, mask):
        shown.append((agent, seen.copy()))
        return int(np.flatnonzero(mask)[-1])

    task = make_task(THEATRE)
    columns = columns_of(task, ["rooms free"])
    place = int(columns[0][0])
    for how, check in (("blank", lambda x: set(x) == {0.0}), ("stuck", lambda x: len(set(x)) == 1), ("noisy", lambda x: len(set(x)) > 3)):
        shown.clear()
        play(task, FunctionHospitalPolicy("looks", act), 1, seed=1, fault=BoardFails(columns, how, 1.0))
        values = [float(seen[place]) for agent, seen in shown if agent == "theatre_1"]
        low, high = (limit[place] for limit in task.limits("theatre"))
        assert check(values), how
        assert low <= min(values) <= max(values) <= high, how
        assert len({float(seen[0]) for _, seen in shown}) > 1  # the clock still runs


def test_unknown_faults_and_columns_are_refused_by_name():
    with pytest.raises(ValueError, match="random, first, silent"):
        AgentFails("icu", "asleep")
    with pytest.raises(ValueError, match="stuck, noisy, blank"):
        BoardFails([], "upside-down", 1.0)
    with pytest.raises(ValueError, match="nobody in medsim/Theatre-v0 sees"):
        columns_of(make_task(THEATRE), ["bananas"])


def test_sums_by_class_agree_with_the_figures_of_the_episode():
    icu = context_of(ICU, Reserve("two", 2), 3, options={"horizon_days": 5.0}).own
    for kind in ("emergency", "elective"):
        np.testing.assert_array_equal(icu.classes["refused"][kind][:, 0], icu.metrics[f"{kind}_refused"])
        np.testing.assert_array_equal(icu.classes["refused"][kind][:, 1], icu.metrics[f"{kind}_arrived"])
    queue = context_of(ICU, hospital_policies(ICU)["searched"](), 3, options={**QUEUE, "horizon_days": 14.0}).own
    refused = sum(queue.classes["refused"].values())
    np.testing.assert_array_equal(refused.T, [queue.metrics["refused"], queue.metrics["arrived"]])
    np.testing.assert_array_equal(queue.classes["refused"]["high_acuity"][:, 0], queue.costs["refused_high_acuity"])
    early = sum(queue.classes["left_early"].values())
    np.testing.assert_array_equal(early[:, 0], queue.metrics["discharged_early"])
    np.testing.assert_array_equal(early[:, 1], queue.metrics["discharged"] + queue.metrics["discharged_early"])
    waits = sum(queue.classes["wait_h"].values())
    np.testing.assert_allclose(waits[:, 0] / waits[:, 1], queue.metrics["mean_wait_h"])
    theatre = context_of(THEATRE, RulePolicy("urgent", Rule(order=(0, 1, 2, LIST))), 3).own
    for kind, sums in theatre.classes["wait_h"].items():
        means = sums[:, 0] / np.maximum(sums[:, 1], 1.0)
        np.testing.assert_allclose(means, theatre.metrics[f"mean_wait_{kind}_h"])
    cancelled = sum(sums[:, 0] for sums in theatre.classes["cancelled"].values())
    np.testing.assert_array_equal(cancelled, theatre.metrics["electives_cancelled"])
    region = context_of(REGION, Levelled(), 2, options={"horizon_h": 12.0}).own
    for measure in ("wait_h", "hospital_wait_h"):
        total = sum(region.classes[measure].values())
        np.testing.assert_allclose(60.0 * total[:, 0] / total[:, 1], region.metrics["mean_wait_min"])
    calls = sum(region.classes["response_h"].values())
    np.testing.assert_allclose(60.0 * calls[:, 0] / calls[:, 1], region.metrics["mean_response_min"])


@pytest.mark.parametrize("engine", ["compiled", "simpy"])
def test_both_engines_of_the_hospital_count_the_same_classes(engine):
    flow = context_of(FLOW, FlowPolicy("priority", "priority"), 2, options={"days": 1.0, "engine": engine}).own
    seen = sum(flow.classes["wait_h"].values())
    np.testing.assert_allclose(seen[:, 0] / seen[:, 1], flow.metrics["wait_of_those_seen_h"])
    np.testing.assert_allclose(sum(flow.classes["group_wait_h"].values()), seen)


def test_days_add_up_to_the_episode():
    found = context_of(FLOW, FlowPolicy("priority", "priority"), 2, options={"days": 2.0}).own
    assert found.daily.shape == (2, 2)
    np.testing.assert_allclose(found.daily.sum(axis=1), found.returns)
    assert (found.daily < 0.0).all()


def test_the_interval_is_wider_for_the_worst_of_many_and_none_where_nothing_differs():
    values = np.random.default_rng(0).normal(1.0, 2.0, 30)
    one, many = mean_of(values), mean_of(values, comparisons=20)
    assert one.value == many.value
    assert many.high - many.low > 1.3 * (one.high - one.low)
    assert mean_of(np.zeros(5)) == mean_of(np.zeros(1))
    assert math.isinf(mean_of(np.array([1.0])).high)


def test_a_loss_where_the_protocol_has_none_passes_no_gate():
    none, some = np.zeros(4), np.array([0.0, 1.0, 0.0, 0.0])
    assert math.isinf(relative(some, none, none, "").value)
    assert relative(none, none, none, "").value == 0.0


def test_the_interval_of_a_ratio_covers_the_truth_as_often_as_it_says():
    rng, covered = np.random.default_rng(1), 0
    for _ in range(400):
        patients = rng.poisson(5.0, 40) + 1.0
        sums = np.column_stack([rng.gamma(patients, 2.0), patients])
        other = np.column_stack([sums[:, 0] + rng.normal(0.5 * patients, np.sqrt(patients)), patients])
        found = ratio_difference(other, sums)
        covered += found.low <= 0.5 <= found.high
    assert 0.92 <= covered / 400 <= 0.98
    assert ratio_of(np.array([[4.0, 2.0], [2.0, 1.0]])).value == pytest.approx(2.0)


def test_a_gap_is_that_between_the_class_that_loses_most_and_the_one_that_gains():
    standard = {name: np.array([[10.0, 10.0], [20.0, 20.0]]) for name in "ab"}
    own = {"a": (np.array([[20.0, 10.0], [40.0, 20.0]]), 2.0), "b": (np.array([[5.0, 10.0], [10.0, 20.0]]), 1.0)}
    assert gap_of(own, standard, "margins", "").value == pytest.approx(0.5 + 0.5)


@pytest.mark.parametrize(("env_id", "options"), PROFILES)
def test_every_gate_names_a_test_that_exists_and_every_limit_a_reason(env_id, options):
    profile = load_hospital_profile(hospital_profile_path(env_id, options))
    for gate in profile.gates:
        assert gate.reason
        assert not gate.test or gate.test.rpartition("::")[2] in globals(), gate
    for one in (*profile.hazards, *profile.measures, *profile.surges, *profile.boards):
        assert one.reason, one


def test_a_wrong_profile_is_refused_by_name(tmp_path):
    text = hospital_profile_path(THEATRE).read_text()
    for old, new, said in (
        ('what = "loss"', 'what = "bananas"', "no cost 'bananas'"),
        ('"immediate" = 0.25', '"immediate" = -0.25', "must be a number above 0"),
        ("surged = 300", "surged = 1", "surged must be 2 or more"),
        ('hazard = "H8"', 'hazard = "H80"', "H80"),
        ('contains = ["rooms free"]', 'contains = ["rooms taken"]', "nobody in medsim/Theatre-v0 sees"),
    ):
        path = tmp_path / "profile.toml"
        assert old in text
        path.write_text(text.replace(old, new))
        with pytest.raises(ValueError, match=said):
            HospitalContext(THEATRE, DoNothing(), load_hospital_profile(path), HospitalPlan(name="test", amount=SMALL))


def test_a_variant_has_a_profile_of_its_own_and_another_is_refused():
    assert context_of(REGION, hospital_policies(REGION)["optimal"](), 2).profile.requires == ROUTING  # the policy says in which it acts
    queue, plan = load_hospital_profile(hospital_profile_path(ICU, QUEUE)), HospitalPlan(name="test", amount=SMALL)
    with pytest.raises(ValueError, match="variant='queue', not 'trunk'"):
        HospitalContext(ICU, DoNothing(), queue, plan)
    with pytest.raises(ValueError, match="variant must be one of 'trunk', 'queue', not 'bananas'"):
        context_of(ICU, DoNothing(), 2, options={"variant": "bananas"})
    with pytest.raises(ValueError, match=r"no policy is called 'bananas'.*early-discharge"):
        HospitalContext(ICU, DoNothing(), dataclasses.replace(queue, protocol="bananas"), plan, options=QUEUE)


def test_the_command_takes_a_variant(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("medsim.safety.hospital.evaluation.HOSPITAL_SECTIONS", (SECTIONS["outcome"], SECTIONS["fairness"]))
    told = ["safety", "nothing", "--env", ICU, "--quick", "--episodes", "20", "--set", "variant=queue", "--set", "horizon_days=2"]
    assert main([*told, "--out", str(tmp_path)]) == 1
    assert "hazards.H5" in capsys.readouterr().out
    record = json.loads((tmp_path / "report.json").read_text())
    assert record["about"]["options"] == {"variant": "queue", "horizon_days": 2}
    assert "wait_h.high_acuity.excess" in record["sections"]["fairness"]["figures"]


def test_the_command_fails_a_policy_and_goes_on_where_it_was(tmp_path, capsys, monkeypatch):
    told = ["safety", "random", "--env", THEATRE, "--quick", "--episodes", "20", "--out", str(tmp_path)]
    plain = load_hospital_profile(hospital_profile_path(THEATRE))
    small = dataclasses.replace(plain, quick=SMALL)
    monkeypatch.setattr("medsim.safety.hospital.profile.load_hospital_profile", lambda path: small)
    assert main(told) == 1
    assert "FAILED" in capsys.readouterr().out
    record = json.loads((tmp_path / "report.json").read_text())
    assert record["verdict"] == "failed"
    assert set(record["sections"]) == set(SECTIONS)
    page = (tmp_path / "report.html").read_text()
    for said in ("Not safe to use", "20 episodes of the fixed list", "What this cannot show"):
        assert said in page

    def played(*args, **kwargs):
        raise AssertionError("what is in the folder was played again")

    monkeypatch.setattr(contexts, "play", played)
    assert main(told) == 1


@pytest.mark.parametrize("env_id", [ICU, THEATRE])
def test_what_is_interrupted_goes_on_without_the_ordinary_episodes_and_ends_the_same(env_id, tmp_path, monkeypatch):
    def evaluated(folder, told=None):
        policy = hospital_policies(env_id)["random"]()
        context = context_of(env_id, policy, 3, options=SHORT[env_id])
        evaluate_safety(context, folder, sections=HOSPITAL_SECTIONS, told=told)
        return (folder / "report.json").read_bytes(), (folder / "report.html").read_bytes()

    def stop(section):
        if section.name == "surge":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluated(tmp_path / "half", stop)
    really, played = contexts.play, []
    monkeypatch.setattr(contexts, "play", lambda task, policy, count, **more: played.append(count) or really(task, policy, count, **more))
    half = evaluated(tmp_path / "half")
    assert set(played) == {2}  # never the three ordinary ones
    assert half == evaluated(tmp_path / "whole")
    assert played.count(3) == 2


def test_ordinary_episodes_of_another_evaluation_or_damaged_ones_are_played_again(tmp_path):
    def context():
        return context_of(THEATRE, DoNothing(), 2)

    for key in ("one", "other"):
        for damage in (None, '{"key": "', "[]"):
            if damage is not None:
                (tmp_path / "policy.json").write_text(damage)
            found = context()
            found.keep_in(tmp_path, key)
            np.testing.assert_array_equal(found.own.returns, context().own.returns)
            assert json.loads((tmp_path / "policy.json").read_text())["key"] == key


def test_options_of_treatments_are_refused_for_hospitals(tmp_path, capsys):
    for extra, said in (
        (["--patients", "200"], "--episodes"),
        (["--cohort", "shifted"], "fixed list"),
        (["--episodes", "3"], "20 or more"),
    ):
        assert main(["safety", "nothing", "--env", THEATRE, "--out", str(tmp_path), *extra]) == 2
        assert said in capsys.readouterr().err
    assert main(["safety", "surviving-sepsis", "--env", "medsim/Sepsis-v0", "--episodes", "50", "--out", str(tmp_path)]) == 2
    assert "for hospitals" in capsys.readouterr().err


def test_a_file_of_python_is_a_policy_of_a_hospital(tmp_path: Path):
    file = tmp_path / "mine.py"
    file.write_text(
        "import numpy as np\n"
        "def last(agent, seen, mask):\n    return int(np.flatnonzero(mask)[-1])\n"
        "class Own:\n    def begin(self, task, key):\n        self.task = task\n    def act(self, agent, seen, mask):\n        return 0\n"
        "number = 3\n"
    )
    found = find_hospital_policy(THEATRE, f"{file}:last")
    assert found.name == "last"
    assert evaluate_hospital(THEATRE, found, episodes=2).returns.shape == (2,)
    own = find_hospital_policy(THEATRE, f"{file}:Own")
    nothing = evaluate_hospital(THEATRE, DoNothing(), episodes=2).returns
    np.testing.assert_array_equal(evaluate_hospital(THEATRE, own, episodes=2).returns, nothing)
    with pytest.raises(ValueError, match="is no policy"):
        find_hospital_policy(THEATRE, f"{file}:number")
    with pytest.raises(ValueError, match="has no 'absent'"):
        find_hospital_policy(THEATRE, f"{file}:absent")
    with pytest.raises(ValueError, match="there is no file"):
        find_hospital_policy(THEATRE, f"{tmp_path}/none.py:last")
