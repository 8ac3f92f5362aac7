"""Fingerprints of fixed episodes of every hospital: what an id gives must never change.

    python -m tests.make_golden_hospitals

writes ``tests/reference/golden_hospitals.json``. Do so for a new environment or a new setting. If a hash of an existing one changes, its
results have changed: register the next version of the id, or find the mistake. Numbers count to nine digits, since what a hospital
computes with the C library's functions may differ in the last bits between machines.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from medsim.hospital.draws import POLICY, draw_uniform, key_of
from medsim.hospital.shells import HospitalShell
from medsim.registry import HOSPITALS, make_task

FILE = Path(__file__).parent / "reference" / "golden_hospitals.json"
SEED = 20260
Options = dict[str, Any]
SETTINGS: dict[str, list[Options]] = {
    "medsim/HospitalFlow-v0": [
        {"days": 1.0},
        {"days": 1.0, "engine": "simpy"},
        {"days": 1.0, "config": "academic-centre", "local_rewards": True},
        {"days": 1.0, "config": "metropolitan", "load": 1.3, "size": 0.2},
    ],
    "medsim/ICUAdmission-v0": [{}, {"variant": "queue"}],
    "medsim/RegionalNetwork-v0": [{"horizon_h": 12.0}, {"variant": "routing", "horizon_h": 24.0}],
    "medsim/Theatre-v0": [{}, {"rooms": 2, "days": 2, "durations": "lognormal"}],
}


def described(options: Options) -> str:
    return json.dumps(options, sort_keys=True)


def digits(values: Any) -> list[str]:
    return [f"{float(value):.9g}" for value in values]


def golden_fingerprint(env_id: str, options: Options) -> str:
    """Return the hash of an episode under drawn legal actions: times, who is asked, masks, what is seen, rewards, costs, figures."""
    task = make_task(env_id, **options)
    shell = HospitalShell(task, None)
    shell.begin(SEED, None)
    model, digest = shell.present_model(), hashlib.sha256()
    for step in range(400):
        if model.request is None:
            break
        agent, mask = model.request.agent, model.request.mask
        seen = np.asarray(shell.observation_of(agent), dtype=np.float64)
        legal = np.flatnonzero(mask)
        action = int(legal[int(draw_uniform(key_of(1), POLICY, step, 0) * len(legal))])
        rows = [f"{model.time_h:.9g}", agent, mask.tolist(), digits(seen), action]
        ledger, _ = shell.decide({**dict.fromkeys(task.agents, 0), agent: action})
        rows += [digits(ledger.terms.values()), digits(ledger.costs.values()), digits(ledger.local.values())]
        digest.update(json.dumps(rows).encode())
    digest.update(json.dumps(digits(model.metrics().values())).encode())
    return digest.hexdigest()


def golden_fingerprints() -> dict[str, dict[str, str]]:
    return {one.id: {described(options): golden_fingerprint(one.id, options) for options in SETTINGS[one.id]} for one in HOSPITALS}


if __name__ == "__main__":
    FILE.write_text(json.dumps(golden_fingerprints(), indent=1) + "\n", encoding="utf-8")
    print(f"wrote {FILE}")
