"""An id gives what it has always given: hashes of a day's rollouts. See ``make_golden_rollouts.py`` before you change one."""

import json

import pytest

from medsim.registry import ENVIRONMENTS
from tests.courses import TESTED, Options, described
from tests.make_golden_rollouts import FILE, golden_fingerprint, golden_settings

GOLDEN = json.loads(FILE.read_text(encoding="utf-8"))
CASES = [(one.id, options) for one in TESTED for options in golden_settings(one.id)]


@pytest.mark.parametrize(("env_id", "options"), CASES, ids=[f"{env_id}:{described(options)}" for env_id, options in CASES])
def test_a_rollout_is_what_it_has_always_been(env_id: str, options: Options) -> None:
    assert golden_fingerprint(env_id, options) == GOLDEN[env_id][described(options)], (
        "results of a registered id have changed: register a new version, or find the mistake"
    )


def test_every_environment_has_goldens_and_every_golden_an_environment() -> None:
    missing = {one.id for one in ENVIRONMENTS if not one.available}
    assert {env_id: set(hashes) for env_id, hashes in GOLDEN.items() if env_id not in missing} == {
        one.id: {described(options) for options in golden_settings(one.id)} for one in TESTED
    }
    found = [value for env_id, hashes in GOLDEN.items() if env_id not in missing for value in hashes.values()]
    assert len(set(found)) == len(found) == len(CASES)
