"""Fingerprints of fixed rollouts of every environment: what an id gives must never change.

    python -m tests.make_golden_rollouts

writes ``tests/reference/golden_rollouts.json``. Do so for a new environment or a new setting. If a hash of an existing one
changes, its results have changed: register the next version of the id, or find the mistake.
"""

import json
from pathlib import Path

from medsim.registry import make_task
from tests.courses import HARSH, TESTED, Options, described, fingerprint, play_batch, settings_of

FILE = Path(__file__).parent / "reference" / "golden_rollouts.json"
PATIENTS = 9
SEED = 20260
MORE: dict[str, list[Options]] = {
    "medsim/Glucose-v0": [{"cohort": "test"}, {"cohort": "shifted", "fidelity": "fast"}, {"group": "child", "announce_meals": False}]
}


def golden_settings(env_id: str) -> list[Options]:
    return [*settings_of(env_id), HARSH[env_id], *MORE.get(env_id, [])]


def golden_fingerprint(env_id: str, options: Options) -> str:
    """Return the hash of nine patients' rollouts over 24 hours (or the horizon): observations, rewards, costs, ends; every bit."""
    task = make_task(env_id, **options)
    steps = min(task.horizon_steps, round(24.0 / task.step_h))
    return fingerprint(play_batch(env_id, options, steps, PATIENTS, seed=SEED))


def golden_fingerprints() -> dict[str, dict[str, str]]:
    return {one.id: {described(options): golden_fingerprint(one.id, options) for options in golden_settings(one.id)} for one in TESTED}


if __name__ == "__main__":
    FILE.write_text(json.dumps(golden_fingerprints(), indent=1) + "\n", encoding="utf-8")
    print(f"wrote {FILE}")
