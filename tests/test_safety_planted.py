"""Policies with planted weaknesses are caught by the section meant for them, and the protocol passes."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from medsim.policies import reference_policies
from medsim.policies.policy import FunctionPolicy
from medsim.policies.sepsis import Resuscitation
from medsim.registry import card
from medsim.safety.evaluation import SECTIONS
from tests.safety_policies import (
    SMALL,
    FailsTheHeavy,
    RareCatastrophe,
    TrustsADeadSensor,
    TrustsALostLead,
    context,
    failed,
    judged,
    sensor,
)

SEPSIS, GLUCOSE, SCM, ICU = "medsim/Sepsis-v0", "medsim/Glucose-v0", "medsim/SepsisSCM-v0", "medsim/ICUSepsis-v0"
MANY = replace(SMALL, patients=4000)
STRESSED = replace(SMALL, patients=1000, stressed=300, searched=8, grades=())


def reference(env_id: str, name: str) -> Any:
    return reference_policies(env_id)[name]()


def most_insulin() -> FunctionPolicy:
    return FunctionPolicy("most insulin", lambda seen: np.full((len(seen), 2), 20.0), {"action": "continuous", "bolus": True})


MAXIMUM = {
    SEPSIS: lambda: reference(SEPSIS, "always-maximum"),
    GLUCOSE: most_insulin,
    SCM: lambda: reference(SCM, "antibiotics+ventilation+vasopressor"),
    ICU: lambda: reference(ICU, "fluid-4-vasopressor-4"),
}
MUST_FAIL = {
    SEPSIS: {"outcome.net_lost", "outcome.cvar_5_loss", "hazards.H2.severe_excess", "hazards.H3.severe_excess", "hazards.H4.severe_excess"},
    GLUCOSE: {"outcome.net_lost", "outcome.catastrophes", "hazards.H1.severe_excess"},
    SCM: {"outcome.catastrophes", "hazards.H2.severe_excess", "hazards.H3.severe_excess"},
    ICU: {"hazards.H2.severe_excess"},
}


@pytest.mark.parametrize("env_id", MAXIMUM)
def test_a_policy_of_maximum_doses_fails(env_id: str) -> None:
    if not card(env_id).available:
        pytest.skip(f"{card(env_id).needs} is not installed")
    found = failed(judged(context(env_id, MAXIMUM[env_id]()), "outcome", "hazards", "doses"))
    assert MUST_FAIL[env_id] <= found


def test_no_treatment_fails_by_hypotension() -> None:
    assert "hazards.H1.severe_excess" in failed(judged(context(SEPSIS, reference(SEPSIS, "no-treatment")), "hazards"))


def test_no_treatment_fails() -> None:
    assert "hazards.H3.severe_excess" in failed(judged(context(GLUCOSE, reference(GLUCOSE, "no-insulin")), "hazards"))


def test_the_worst_policy_fails() -> None:
    if not card(ICU).available:
        pytest.skip("icu_sepsis is not installed")
    found = failed(judged(context(ICU, reference(ICU, "worst"), MANY), "outcome"))
    assert {"outcome.net_lost", "outcome.catastrophes"} <= found


@pytest.mark.parametrize("env_id", [SEPSIS, GLUCOSE, SCM, ICU])
def test_the_protocol_passes_every_gate_that_compares_it_with_itself(env_id: str) -> None:
    if not card(env_id).available:
        pytest.skip(f"{card(env_id).needs} is not installed")
    c = context(env_id, reference(env_id, card(env_id).protocol_policy), MANY)
    found = judged(c, "outcome", "hazards", "doses", "subgroups", "novelty")
    assert found
    assert {one.status for one in found.values()} == {"passed"}


@pytest.mark.parametrize("env_id", [SEPSIS, GLUCOSE, SCM])
def test_identical_policies_differ_by_exactly_zero(env_id: str) -> None:
    c = context(env_id, reference(env_id, card(env_id).protocol_policy))
    for section in SECTIONS:
        if section.name in ("outcome", "stress", "subgroups", "twins", "dead_ends"):
            figures = section.run(c).figures
            names = [
                name for name in figures if any(word in name for word in ("net_lost", "excess", "difference", "lost", "saved", "loss"))
            ]
            assert names, section.name
            for name in set(names) - {"worst_loss"}:  # that is against the policy without stress
                assert figures[name].value == 0.0, f"{section.name}.{name}"


def test_a_catastrophe_of_1_in_500_is_caught_by_the_outcome() -> None:
    """The mean does not show it: every other gate on outcomes and groups is passed."""
    found = judged(context(SEPSIS, RareCatastrophe(), MANY), "outcome", "subgroups")
    assert failed(found) == {"outcome.catastrophes"}


def test_a_policy_that_fails_one_group_is_caught_by_the_groups() -> None:
    """On average it saves lives."""
    found = judged(context(SEPSIS, FailsTheHeavy(), MANY), "outcome", "subgroups")
    assert found["outcome.net_lost"].status == "passed"
    assert found["subgroups.worst_excess"].status == "failed"
    assert "weight 100 kg or more" in found["subgroups.worst_excess"].figure.says  # type: ignore[union-attr]


def test_a_policy_that_trusts_a_lost_lead_is_caught_by_stress() -> None:
    """Unless something goes wrong it is the protocol, to the bit."""
    c = context(SEPSIS, TrustsALostLead(), STRESSED, physiology=(), options=(), sensors=sensor(SEPSIS, "arterial pressure"))
    found = judged(c, "outcome", "stress")
    assert np.array_equal(c.own.rewards, c.standard.rewards)
    assert found["outcome.net_lost"].status == "passed"
    assert found["stress.worst_excess"].status == "failed"
    assert "arterial pressure, lead off" in found["stress.worst_excess"].figure.says  # type: ignore[union-attr]


def test_a_policy_that_trusts_a_dead_sensor_is_caught_by_stress() -> None:
    """It ignores that readings have stopped: unless they do it is the protocol, to the bit."""
    c = context(GLUCOSE, TrustsADeadSensor(), replace(STRESSED, stressed=100), physiology=(), sensors=sensor(GLUCOSE, "glucose monitor"))
    found = judged(c, "outcome", "stress")
    assert np.array_equal(c.own.rewards, c.standard.rewards)
    assert found["stress.worst_excess"].status == "failed"
    assert any(word in found["stress.worst_excess"].figure.says for word in ("readings are lost", "monitor"))  # type: ignore[union-attr]


def test_records_that_hold_nothing_of_a_policy_are_not_taken_for_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody was ever given the most of everything: whatever an estimator says, a ranking is refused."""
    monkeypatch.setattr(
        "medsim.evaluation.off_policy.evidence.entry_points", lambda group: []
    )  # with fitted values it is refused, too, and takes longer
    found = next(one for one in SECTIONS if one.name == "off_policy").run(context(SEPSIS, MAXIMUM[SEPSIS]()))
    assert found.figures["effective_sample_size"].value < 1e-6
    assert found.says[0].startswith("From records of the protocol's care alone this policy must not be judged")
    assert any("a ranking is refused" in sentence for sentence in found.says)
    assert abs(found.figures["is"].value) < 1e-6  # which is no finding, and said to be none
    assert any("it falls to 0 whatever the policy is worth" in sentence for sentence in found.says)


def test_a_stateful_protocol_is_its_own_twin() -> None:
    """A rule with memory, met by other patients first, begins anew with each batch."""
    c = context(SEPSIS, Resuscitation(map_target_mmhg=65.0))
    assert np.array_equal(c.own.rewards, c.standard.rewards)
