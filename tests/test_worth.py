"""The figures of what there is to learn hang together, and its page and pictures are written; no figure is judged."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.fidelity import worth
from medsim.core.compile import jit_enabled
from medsim.policies.sepsis import MostTreatment, NoTreatment
from medsim.treatments.sepsis.environment import sepsis_task
from medsim.trials.emulation import run_arms

PATIENTS = 48


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """All figures of a few patients."""
    if not jit_enabled():
        pytest.skip("MEDSIM_JIT=0: too many courses for plain Python")
    return worth.measure_worth(PATIENTS)


def test_knowing_each_patients_best_is_better_than_any_one_strategy_for_all(found: dict[str, Any]) -> None:
    knows = found["clairvoyant"]
    for label, family in {**worth.FAMILIES, "all of these": [name for one in worth.FAMILIES.values() for name in one]}.items():
        least = min(found["deaths_percent"][name][0] for name in family)
        assert knows[label]["best_deaths"][0] == least
        assert knows[label]["deaths"][0] < least
    assert knows["all of these"]["deaths"][0] <= min(knows[label]["deaths"][0] for label in worth.FAMILIES)


def test_the_protocol_is_the_target_of_65_and_the_bolus_of_30(found: dict[str, Any]) -> None:
    assert found["deaths_percent"][worth.PROTOCOL] == found["deaths_percent"]["bolus 30"]
    assert found["more_than_protocol"]["bolus 30"] == [0.0, 0.0, 0.0]


def test_the_grids_corners_are_no_treatment_and_always_the_maximum(found: dict[str, Any]) -> None:
    task = sepsis_task(action="continuous", deaths="expected", cohort="test")
    courses = run_arms([(task, NoTreatment()), (task, MostTreatment())], PATIENTS, worth.SEED, ())
    for name, course in zip((worth.NOTHING, worth.EVERYTHING), courses, strict=True):
        assert found["deaths_percent"][name][0] == pytest.approx(100.0 * course.death.mean(), abs=6e-4)


def test_groups_share_the_patients_and_best_targets_add_up(found: dict[str, Any]) -> None:
    people = found["groups"]
    assert people["hypertensive"]["patients"] + people["normotensive"]["patients"] == PATIENTS
    assert sum(group["patients"] for name, group in people.items() if name.startswith("SAPS")) == PATIENTS
    for group in people.values():
        assert sum(group["best_target_percent"].values()) == pytest.approx(100.0, abs=0.1)
        assert (np.diff(group["at_stake"]["targets"]["more_than_x_points_percent"]) <= 0.0).all()


def test_page_pictures_and_figures_are_written(found: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from benchmarks.fidelity.worth_page import write_worth

    write_worth(tmp_path, "worth", found, {"command": "the command", "commit": "0123456789ab", "cpu": "a processor", "minutes": 1.0})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["WORTH.md", "worth.json", "worth_doses.png", "worth_patients.png"]
    assert json.loads((tmp_path / "worth.json").read_text(encoding="utf-8"))["patients"] == PATIENTS
    assert "the command" in (tmp_path / "WORTH.md").read_text(encoding="utf-8")
