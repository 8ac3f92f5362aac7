"""What records alone would have said of a policy: exact where it can be, the same policy is itself, wrong words are called wrong."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medsim.evaluation.off_policy import evidence as sources
from medsim.evaluation.off_policy import exact_value
from medsim.evaluation.rollout import evaluate
from medsim.evaluation.scoring import exact_score
from medsim.policies import reference_policies
from medsim.policies.chance import Softened
from medsim.policies.policy import FunctionPolicy
from medsim.registry import card
from medsim.safety.context import Context
from medsim.safety.drawing import Interval, Mark, estimates
from medsim.safety.evaluation import evaluate_safety
from medsim.safety.figures import Figure
from medsim.safety.findings import Findings
from medsim.safety.profile import load_profile, profile_path
from medsim.safety.records import question
from medsim.safety.sections import off_policy
from medsim.safety.sections.off_policy import ALIKE, BETTER, WORSE, Word
from tests.safety_policies import SMALL, context

SEPSIS, GLUCOSE, SCM, ICU = "medsim/Sepsis-v0", "medsim/Glucose-v0", "medsim/SepsisSCM-v0", "medsim/ICUSepsis-v0"
SAMPLING = ("is", "pdis", "wis", "cwpdis")
MODEL = ("dm", "dr", "wdr", "magic")


@pytest.fixture(autouse=True)
def nothing_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    """No installed package fits values, but where a test says so."""
    monkeypatch.setattr(sources, "entry_points", lambda group: [])


def reference(env_id: str, name: str) -> Any:
    return reference_policies(env_id)[name]()


def found(c: Context) -> Findings:
    return off_policy.SECTION.run(c)


def doses(values: list[float], **options: Any) -> FunctionPolicy:
    return FunctionPolicy("always the same", lambda seen: np.tile(values, (len(seen), 1)), {"action": "continuous", **options})


@pytest.mark.parametrize("env_id", [SEPSIS, GLUCOSE, SCM, ICU])
def test_of_the_protocol_itself_importance_sampling_says_the_records_mean_and_nothing_differs(env_id: str) -> None:
    if not card(env_id).available:
        pytest.skip(f"{card(env_id).needs} is not installed")
    c = context(env_id, reference(env_id, card(env_id).protocol_policy))
    asking = question(c)
    assert asking.asked.name == asking.acts.name
    assert not asking.hidden
    figures = found(c).figures
    mean = asking.records(env_id).returns.mean()
    for name in SAMPLING:
        assert figures[name].value == pytest.approx(mean, abs=1e-9), name
    assert figures["records"].value == pytest.approx(mean)
    assert figures["effective_sample_size"].value == pytest.approx(SMALL.logged)
    assert figures["truth_gain"].value == 0.0
    assert figures["truth"].value == figures["truth_protocol"].value


def test_where_the_course_is_a_table_the_truth_is_exact() -> None:
    figures = found(context(SCM, reference(SCM, "pomdp"))).figures
    for name, policy in (("truth", "pomdp"), ("truth_protocol", "physician-soft")):
        exact = exact_score(SCM, reference(SCM, policy))
        assert exact is not None
        assert figures[name].value == exact.exact.value
        assert figures[name].low == figures[name].high
    assert figures["truth_gain"].value == pytest.approx(0.131, abs=0.001)
    assert figures["is.error"].value == pytest.approx(figures["is"].value - figures["truth"].value)


def test_a_table_that_is_softened_is_valued_exactly_too() -> None:
    soft = Softened(reference(SCM, "physician"), 0.2)
    exact = exact_value(SCM, soft, {"cohort": "test"})
    assert exact is not None
    returns = evaluate(SCM, soft, patients=4000).returns
    assert abs(returns.mean() - exact) < 4.0 * returns.std() / len(returns) ** 0.5
    assert exact_value(SEPSIS, Softened(reference(SEPSIS, "random"), 0.2), {"action": "discrete"}) is None


def test_records_that_do_not_hold_what_the_protocol_saw_are_called_confounded() -> None:
    c = context(SCM, reference(SCM, "pomdp"))
    assert question(c).hidden == {"observation": "full"}
    assert any("they are confounded" in sentence for sentence in found(c).says)
    assert question(c).records(SCM, 3).acted_on == {"observation": "full"}


def test_the_records_patients_are_met_by_no_other_section() -> None:
    c = context(SCM, reference(SCM, "pomdp"))
    assert abs(question(c).seed - c.plan.seed) > 1000
    assert question(c).records(SCM, 2).options["cohort"] == "test"


@pytest.mark.parametrize(("action", "chance"), [("continuous", "jittered by 0.1"), ("discrete", "softened by 0.1")])
def test_a_policy_that_decides_without_chance_is_asked_about_with_the_protocols(action: str, chance: str) -> None:
    fixed = doses([100.0, 0.1]) if action == "continuous" else FunctionPolicy("always 6", lambda seen: np.full(len(seen), 6))
    c = context(SEPSIS, fixed)
    asking, said = question(c), found(c)
    on_grid = "" if action == "continuous" else " on the grid"
    assert (asking.acts.name, asking.asked.name) == (f"surviving-sepsis{on_grid} {chance}", f"{fixed.name} {chance}")
    assert any(f"Asked about is {asking.asked.name}" in sentence for sentence in said.says)
    assert asking.options["action"] == action if action == "continuous" else "action" not in asking.options
    assert all(np.isfinite([one.value, one.low, one.high]).all() for one in said.figures.values())
    own = c.follow(asking.asked, SMALL.patients).returns.mean()
    assert said.figures["truth"].value == pytest.approx(own)
    assert own != c.own.returns.mean()


def test_a_policy_that_decides_by_chance_is_asked_about_as_it_is() -> None:
    c = context(SEPSIS, reference(SEPSIS, "random"))
    assert question(c).asked is c.policy
    assert found(c).figures["truth"].value == c.own.returns.mean()


def test_a_wrong_word_is_called_wrong() -> None:
    """Of the best rule known the records hold next to nothing: importance sampling calls it worse than the protocol."""
    said = found(context(SEPSIS, reference(SEPSIS, "adaptive")))
    assert said.figures["truth_gain"].low > 0.0
    assert said.figures["is"].high < said.figures["records"].low
    assert said.figures["misled"].value >= 1.0
    assert any(sentence.startswith("Wrong about it: is") for sentence in said.says)
    assert said.says[0].startswith("From records of the protocol's care alone this policy must not be judged")
    row = next(row for row in said.tables[0].rows if row[0].startswith("is,"))
    assert row[3:] == (WORSE, "wrong")


def test_a_word_is_right_wrong_or_none() -> None:
    judged = {(told, true): Word(told=told, true=true).judged for told in (BETTER, WORSE, ALIKE, None) for true in (BETTER, WORSE, ALIKE)}
    assert [pair for pair, said in judged.items() if said == "right"] == [(one, one) for one in (BETTER, WORSE, ALIKE)]
    assert [pair for pair, said in judged.items() if said == "cannot tell"] == [(ALIKE, BETTER), (ALIKE, WORSE)]
    assert {said for (told, _), said in judged.items() if told is None} == {"has no interval"}
    assert judged[BETTER, ALIKE] == judged[WORSE, BETTER] == "wrong"


def test_a_model_is_counted_where_the_policy_acts_by_codes() -> None:
    if not card(ICU).available:
        pytest.skip("icu_sepsis is not installed")
    said = found(context(ICU, reference(ICU, "worst")))
    assert set(MODEL) <= set(said.figures)
    assert said.says[-1].startswith("The model of dm, dr, wdr and magic is counted from the records")


def test_a_model_is_fitted_where_an_installed_package_can(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("stable_baselines3")
    from importlib.metadata import EntryPoint

    from medsim_agents.offline.fqe import FittedQ

    c = context(SEPSIS, reference(SEPSIS, "surviving-sepsis"), replace(SMALL, patients=100, logged=60))
    without = found(c)
    assert not set(MODEL) & set(without.figures)
    assert "pip install 'medsim[agents]'" in without.says[-1]
    point = EntryPoint("fqe", "medsim_agents.offline.fqe:fqe_evidence", "medsim.value_models")
    monkeypatch.setattr(sources, "entry_points", lambda group: [point] if group == "medsim.value_models" else [])
    monkeypatch.setattr("medsim_agents.offline.fqe.FittedQ", lambda: FittedQ(warm_steps=40, steps=20))
    fitted = found(c)
    assert set(MODEL) <= set(fitted.figures)
    assert fitted.figures["is"] == without.figures["is"]
    assert found(c).record() == fitted.record()


def test_of_charts_as_many_are_kept_as_memory_is_meant_for_and_no_model_is_fitted() -> None:
    chart = FunctionPolicy("always 6", lambda seen: np.full(len(seen["time_h"]), 6), {"observation": "ehr"})
    c = context(SEPSIS, chart, replace(SMALL, patients=100, logged=5000))
    assert 100 <= question(c).episodes < 1000
    said = found(context(SEPSIS, chart, replace(SMALL, patients=100, logged=20)))
    assert any("they are confounded" in sentence for sentence in said.says)
    assert said.says[-1].startswith("No model is fitted to charts")


@pytest.mark.parametrize(
    ("env_id", "policy", "why"),
    [
        (GLUCOSE, doses([1.0], bolus=False), "the policy orders 1 doses and the protocol 2"),
        (SEPSIS, doses([100.0, 0.1, 1.0], antibiotics="agent"), "the policy orders 3 doses and the protocol 2"),
        (SEPSIS, FunctionPolicy("0", lambda seen: np.zeros(len(seen), int), {"norepinephrine": "nurses"}), "doses are put on the grid"),
    ],
)
def test_where_records_cannot_be_asked_the_report_says_why(env_id: str, policy: FunctionPolicy, why: str) -> None:
    said = found(context(env_id, policy))
    assert len(said.says) == 1
    assert said.says[0].startswith("Records of the protocol's care cannot be asked about this policy: ")
    assert why in said.says[0]
    assert not said.figures


def test_doses_that_the_policy_does_not_have_are_missed_by_name() -> None:
    c = context(GLUCOSE, FunctionPolicy("always 2", lambda seen: np.full(len(seen), 2)))
    assert any("Of the protocol's 2 doses they hold 1" in sentence for sentence in found(c).says)


def test_its_findings_are_written_and_read_back_and_the_page_has_the_picture(tmp_path: Path) -> None:
    c = context(SCM, reference(SCM, "pomdp"), gates=())
    first = evaluate_safety(c, tmp_path, sections=(off_policy.SECTION,))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.index("<h2>11 What records alone would have said of it</h2>") < page.index("What the records say, and the truth")
    assert page.index("policy, in truth") < page.index("<h2>12 Hazards, gates, tests</h2>") < page.index("<h2>13 Card</h2>")
    told: list[Any] = []
    again = evaluate_safety(context(SCM, reference(SCM, "pomdp"), gates=()), tmp_path, sections=(off_policy.SECTION,), told=told.append)
    assert not told
    assert again.record() == first.record()
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page


def test_the_work_that_is_told_is_the_work_that_was_announced() -> None:
    for policy in (reference(SCM, "pomdp"), reference(SCM, "random")):
        done: list[float] = []
        c = Context(SCM, policy, load_profile(profile_path(SCM)), SMALL, progress=done.append)
        assert c.own.n == SMALL.patients
        done.clear()
        found(c)
        assert sum(done) == pytest.approx(off_policy.SECTION.work(c))


def test_what_lies_beyond_the_scale_ends_in_an_arrow() -> None:
    rows = [
        Interval(label=name, figure=Figure(value=value, low=value - 1.0, high=value + 1.0)) for name, value in (("in", 0.0), ("out", 50))
    ]
    drawn = estimates(rows, "value", [Mark(label="truth", value=0.5, kind="truth")], (-2.0, 2.0))
    assert drawn.count("<circle") == 1  # the other's value is not on the scale
    assert drawn.count('<path class="dot other"') == 1
    assert ">50<" in drawn
    assert 'class="mark truth"' in drawn
    assert drawn == estimates(rows, "value", [Mark(label="truth", value=0.5, kind="truth")], (-2.0, 2.0))


def test_a_policy_within_others_acts_under_the_options_that_were_given_for_it() -> None:
    plain = FunctionPolicy("plain", lambda seen: np.tile([100.0, 0.1], (len(seen), 1)))
    c = Context(SEPSIS, plain, load_profile(profile_path(SEPSIS)), SMALL, options={"action": "continuous", "observation": "full"})
    assert c.options_of(Softened(plain, 0.1)) == c.options_of(plain)
    assert "observation" not in c.options_of(Softened(c.protocol, 0.1))
