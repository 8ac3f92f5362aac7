"""Gates: what they say of figures; that every one of them is measured, can fail, and belongs to a hazard and a test that are there."""

import ast
import math
from pathlib import Path

import pytest

from medsim.policies import reference_policies
from medsim.registry import card
from medsim.safety.evaluation import SECTIONS, figures_of
from medsim.safety.figures import Figure
from medsim.safety.gates import FAILED, MISSING, PASSED, UNDECIDED, judge, status_of, verdict_of
from medsim.safety.profile import Gate, load_profile, profile_path
from tests.safety_policies import context

ROOT = Path(__file__).parent.parent
TREATMENTS = ("medsim/Sepsis-v0", "medsim/Glucose-v0", "medsim/SepsisSCM-v0", "medsim/ICUSepsis-v0")


def figure(value: float, low: float, high: float) -> Figure:
    return Figure(value=value, low=low, high=high)


def test_a_gate_is_passed_by_the_whole_interval_failed_by_the_value_and_else_undecided() -> None:
    most, least = Gate(figure="a", reason="", most=1.0), Gate(figure="a", reason="", least=1.0)
    assert status_of(most, figure(0.5, 0.2, 0.9)) == PASSED
    assert status_of(most, figure(0.5, 0.2, 1.1)) == UNDECIDED
    assert status_of(most, figure(1.1, 0.2, 1.2)) == FAILED
    assert status_of(least, figure(1.5, 1.2, 1.9)) == PASSED
    assert status_of(least, figure(1.5, 0.9, 1.9)) == UNDECIDED
    assert status_of(least, figure(0.9, 0.8, 1.9)) == FAILED
    assert status_of(most, None) == MISSING
    assert status_of(most, figure(math.nan, math.nan, math.nan)) == FAILED


def test_a_verdict_is_that_of_the_worst_gate() -> None:
    gates = [Gate(figure=name, reason="", most=1.0) for name in ("a", "b", "c")]
    fine = {"a": figure(0, 0, 0), "b": figure(0, 0, 0), "c": figure(0, 0, 0)}
    assert verdict_of(judge(gates, fine)) == PASSED
    assert verdict_of(judge(gates, {**fine, "b": figure(0, 0, 2)})) == UNDECIDED
    assert verdict_of(judge(gates, {"a": figure(0, 0, 0), "b": figure(0, 0, 0)})) == UNDECIDED
    assert verdict_of(judge(gates, {**fine, "b": figure(0, 0, 2), "c": figure(2, 2, 2)})) == FAILED


@pytest.mark.parametrize("env_id", TREATMENTS)
def test_every_gate_is_measured_and_every_hazard_is_watched(env_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medsim.evaluation.off_policy.evidence.entry_points", lambda group: [])  # no gate is on fitted values
    if not card(env_id).available:
        pytest.skip(f"{card(env_id).needs} is not installed")
    c = context(env_id, reference_policies(env_id)[card(env_id).protocol_policy](), sensors=(), physiology=())
    figures = figures_of({one.name: one.run(c) for one in SECTIONS})
    missing = {gate.figure for gate in c.profile.gates} - set(figures)
    assert not missing
    assert {one.id for one in c.profile.hazards} <= {gate.hazard for gate in c.profile.gates}


@pytest.mark.parametrize("env_id", TREATMENTS)
def test_every_gate_can_fail(env_id: str) -> None:
    for gate in load_profile(profile_path(env_id)).gates:
        limit = gate.most if gate.most is not None else gate.least
        assert limit is not None
        beyond = limit + 1.0 if gate.most is not None else limit - 1.0
        assert status_of(gate, figure(beyond, beyond, beyond)) == FAILED
        assert gate.reason


@pytest.mark.parametrize("env_id", TREATMENTS)
def test_every_gate_names_a_test_that_is_there(env_id: str) -> None:
    for gate in load_profile(profile_path(env_id)).gates:
        file, _, name = gate.test.partition("::")
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, f"{gate.figure}: {gate.test}"


def test_a_profile_that_is_wrong_is_refused_by_name(tmp_path: Path) -> None:
    good = profile_path("medsim/Sepsis-v0").read_text(encoding="utf-8")
    for wrong, message in (
        (good.replace("severe_from = 24.0", 'severe_from = "long"', 1), r"hazards\[0\].severe_from must be of type float, not 'long'"),
        (good.replace("[harm]", "[harms]", 1), "unknown 'harms'; allowed are environment, harm"),
        (good.replace('hazard = "H2"', 'hazard = "H9"', 1), "is for the hazard 'H9'; there are H1, H2"),
        (good.replace('dose = "fluid"', 'dose = "water"', 1), "about the dose 'water'; there are norepinephrine, fluid"),
        (good.replace("most = 10.0\n", "most = 10.0\nleast = 1.0\n", 1), "must have exactly one of most and least"),
        (good.replace('kind = "amount"', 'kind = "gift"', 1), "is of the kind 'gift'; there are rate, amount, bolus"),
        (good.replace("[catastrophe]\nname = ", "[catastrophe]\nnam = ", 1), "catastrophe: unknown 'nam'"),
        (good.replace("epsilon = 0.1", "epsilon = 0.0", 1), "records: epsilon must be above 0 and at most 1"),
        (good.replace("spread = 0.1", "spread = -1.0", 1), "and spread above 0, not 0.1 and -1"),
        ("environment = [", "cannot be read as a safety profile"),
    ):
        assert wrong != good
        path = tmp_path / "profile.toml"
        path.write_text(wrong, encoding="utf-8")
        with pytest.raises(ValueError, match=message):
            load_profile(path)
