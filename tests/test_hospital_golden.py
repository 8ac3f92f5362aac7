"""A hospital's id gives what it has always given. See ``make_golden_hospitals.py`` before you change a hash."""

import json

import pytest

from medsim.registry import HOSPITALS
from tests.make_golden_hospitals import FILE, SETTINGS, Options, described, golden_fingerprint

GOLDEN = json.loads(FILE.read_text(encoding="utf-8"))
CASES = [(env_id, options) for env_id, several in SETTINGS.items() for options in several]


@pytest.mark.parametrize(("env_id", "options"), CASES, ids=[f"{env_id}:{described(options)}" for env_id, options in CASES])
def test_an_episode_is_what_it_has_always_been(env_id: str, options: Options) -> None:
    assert golden_fingerprint(env_id, options) == GOLDEN[env_id][described(options)], (
        "results of a registered id have changed: register a new version, or find the mistake"
    )


def test_every_hospital_has_goldens_and_both_engines_have_the_same() -> None:
    assert {env_id: set(hashes) for env_id, hashes in GOLDEN.items()} == {
        one.id: {described(options) for options in SETTINGS[one.id]} for one in HOSPITALS
    }
    flow = GOLDEN["medsim/HospitalFlow-v0"]
    assert flow[described({"days": 1.0})] == flow[described({"days": 1.0, "engine": "simpy"})]
    others = [value for hashes in GOLDEN.values() for value in hashes.values()]
    assert len(set(others)) == len(others) - 1
