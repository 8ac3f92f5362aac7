"""Benchmarks: jobs named by what decides them, records that are valid, engines that agree, and going on after a stop."""

import argparse
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("stable_baselines3")
pytest.importorskip("sb3_contrib")

from medsim.policies import reference_policies
from medsim_agents import run_suite
from medsim_agents.benchmark import Job, jobs_of, jobs_to_run, run_job
from medsim_agents.leaderboard import leaderboard, load_records
from medsim_agents.slurm import slurm_script
from medsim_agents.suites import SUITES, Agent, Board, Suite, suite
from medsim_agents.verbs import verbs
from medsim_agents.verification import comparable, compared, text_of, verify

ENV = "medsim/Glucose-v0"
PPO = Agent(algorithm="ppo", seeds=(0, 1), changes={"steps": 512, "n_envs": 8, "n_steps": 32, "batch_size": 128, "net_arch": [8]})
DQN = Agent(algorithm="dqn", seeds=(0,), changes={"steps": 300, "n_envs": 4, "learning_starts": 100, "net_arch": [8]})
BOARD = Board(env=ENV, agents=(PPO, DQN), references=("random", "basal-bolus"), patients=8, curve_points=2, validation_patients=8)
TINY = Suite(name="tiny", purpose="tests", boards=(BOARD,))


@pytest.fixture(scope="module")
def serial_results(tmp_path_factory):
    return run_suite(TINY, tmp_path_factory.mktemp("serial"), engine="serial")


def without_time_and_machine(record):
    """What must not depend on how, where and from which state of the source a job was run."""
    kept = {name: value for name, value in record.items() if name not in ("time", "hardware", "commit")}
    kept["learning_curve"] = [{name: value for name, value in point.items() if name != "wall_s"} for point in record["learning_curve"]]
    return kept


# Jobs


def test_a_suite_has_each_reference_once_and_each_agent_once_a_seed():
    jobs = jobs_of(TINY)
    assert sorted((job.policy, job.kind, job.seed) for job in jobs) == [
        ("basal-bolus", "reference", 0), ("dqn", "agent", 0), ("ppo", "agent", 0), ("ppo", "agent", 1), ("random", "reference", 0),
    ]  # fmt: skip
    assert len({job.id for job in jobs}) == 5


def test_a_curve_that_is_drawn_otherwise_is_trained_anew_under_the_same_id(tmp_path):
    job = next(job for job in jobs_of(TINY) if job.policy == "dqn")
    other = replace(job, curve_points=1)
    assert job.id == other.id
    one, again = (run_job(each, tmp_path) for each in (job, other))
    assert len(again["learning_curve"]) < len(one["learning_curve"])
    assert again["result"] == one["result"]


def test_an_id_changes_with_whatever_decides_the_result():
    job = next(job for job in jobs_of(TINY) if job.policy == "ppo")
    others = [
        replace(job, seed=5),
        replace(job, steps=513),
        replace(job, settings={"days": 7}),
        replace(job, hyperparameters={**job.hyperparameters, "gamma": 0.5}),
        replace(job, evaluation={**job.evaluation, "patients": 9}),
        replace(job, suite="other"),
    ]
    assert len({job.id, *(other.id for other in others)}) == 7
    assert replace(job, hyperparameters=dict(reversed(job.hyperparameters.items()))).id == job.id


def test_the_suites_on_offer_can_be_planned():
    for one in SUITES:
        assert all(isinstance(job, Job) for job in jobs_of(one))
    quick = jobs_of(suite("quick"))
    for env_id, agents in {"medsim/Sepsis-v0": ("ppo", "dqn", "recurrent-ppo"), "medsim/Glucose-v0": ("ppo", "dqn")}.items():
        of_env = [job for job in quick if job.env == env_id]
        assert {job.policy for job in of_env} == {*agents, *reference_policies(env_id)}
        assert [sum(job.policy == name for job in of_env) for name in agents] == [3, 3, 2][: len(agents)]


def test_the_full_suite_names_every_environment_and_scales_by_one_number():
    from medsim.registry import ENVIRONMENTS, HOSPITALS
    from medsim_agents.algorithms import ALGORITHMS
    from medsim_agents.suites import full_suite

    whole, half = full_suite(), full_suite(0.5)
    assert {board.env for board in whole.boards} == {one.id for one in (*ENVIRONMENTS, *HOSPITALS)}
    for one, other in zip(whole.boards, half.boards, strict=True):
        assert one.references is None
        for agent, shorter in zip(one.agents, other.agents, strict=True):
            assert agent.algorithm in {algorithm.name for algorithm in ALGORITHMS}
            assert agent.seeds == (0, 1, 2, 3, 4)
            assert shorter.changes["steps"] == round(agent.changes["steps"] / 2)
    with pytest.raises(ValueError, match="budget must be above 0, not 0"):
        full_suite(0)


def test_policies_for_another_variant_of_a_hospital_have_no_place_on_its_board():
    board = next(board for board in suite("full").boards if board.env == "medsim/RegionalNetwork-v0")
    there = {job.policy for job in jobs_of(suite("full")) if job.env == board.env and job.kind == "reference"}
    assert {"random", "nearest", "levelled"} <= there
    assert "proportional-split" not in there  # it routes, and this board's hospital has ambulances


def test_what_does_not_exist_is_refused_by_name():
    with pytest.raises(ValueError, match="no suite is called 'quik'; there are quick, smoke, full"):
        run_suite("quik")
    with pytest.raises(ValueError, match="no engine is called 'slurm'; there are serial, process"):
        run_suite(TINY, engine="slurm")
    with pytest.raises(ValueError, match="workers must be 1 or more, not 0"):
        run_suite(TINY, workers=0)
    with pytest.raises(ValueError, match="no reference policy is called 'nobody'"):
        jobs_of(replace(TINY, boards=(replace(BOARD, references=("nobody",)),)))


# Results


def test_records_are_valid_and_named_after_their_jobs(serial_results):
    records = load_records(serial_results)  # validates each
    assert {record["job"]["id"] for record in records} == {job.id for job in jobs_of(TINY)}
    assert {record["role"] for record in records} == {"floor", "protocol", "agent"}
    for record in records:
        assert record["command"] == f"medsim benchmark run tiny --only {record['job']['id']}"
        measured_at = {"ppo": [0, 256, 512], "dqn": [0, 152, 300]}.get(record["job"]["policy"], [])
        assert [point["step"] for point in record["learning_curve"]] == measured_at
    assert len(leaderboard(records, repetitions=50)) == 4


def test_a_record_says_all_that_its_id_is_made_of(serial_results):
    for record in load_records(serial_results):
        fields = {name: value for name, value in record["job"].items() if name != "id"}
        assert Job(**fields).id == record["job"]["id"]


def test_engines_give_the_same_results(serial_results, tmp_path):
    side_by_side = run_suite(TINY, tmp_path, engine="process", workers=2)
    one, other = load_records(serial_results), load_records(side_by_side)
    assert [without_time_and_machine(record) for record in one] == [without_time_and_machine(record) for record in other]


def test_a_job_whose_record_is_there_is_not_run_again(serial_results):
    before = {path.name: path.stat().st_mtime_ns for path in serial_results.glob("*.json")}
    run_suite(TINY, serial_results, engine="serial")
    assert {path.name: path.stat().st_mtime_ns for path in serial_results.glob("*.json")} == before


def test_one_job_can_be_run_again_and_gives_the_same(serial_results):
    for job in (job for job in jobs_of(TINY) if job.policy in ("dqn", "random")):
        path = serial_results / f"{job.id}.json"
        before, written = json.loads(path.read_text()), path.stat().st_mtime_ns
        run_suite(TINY, serial_results, engine="serial", only=job.id)
        assert path.stat().st_mtime_ns > written
        assert without_time_and_machine(json.loads(path.read_text())) == without_time_and_machine(before)
    with pytest.raises(ValueError, match=r"suite tiny has no job '0000'; it has .*\(ppo, seed 1\)"):
        jobs_to_run(TINY, serial_results, "0000")


def test_a_stopped_suite_goes_on_where_it_stopped(serial_results, tmp_path):
    class Broken(RuntimeError):
        pass

    calls = []

    def stop(work):
        calls.append(work)
        if len(calls) == 30:
            raise Broken

    with pytest.raises(Broken):
        run_suite(TINY, tmp_path, engine="serial", progress=stop)
    left = jobs_to_run(TINY, tmp_path)
    run_suite(TINY, tmp_path, engine="serial")
    assert 0 < len(left) <= 5
    assert [without_time_and_machine(record) for record in load_records(tmp_path)] == [
        without_time_and_machine(record) for record in load_records(serial_results)
    ]


def test_an_agent_that_needs_other_actions_stands_on_the_same_board(tmp_path):
    sac = Agent(algorithm="sac", seeds=(0,), changes={"steps": 200, "n_envs": 4, "learning_starts": 100, "net_arch": [8]})
    jobs = jobs_of(replace(TINY, boards=(replace(BOARD, agents=(sac,)),)))
    agent = next(job for job in jobs if job.kind == "agent")
    assert agent.settings == {}
    assert agent.hyperparameters["options"] == {"action": "continuous"}
    record = run_job(agent, tmp_path)
    assert record["role"] == "agent"


def test_a_hospital_is_a_board_like_any_other(tmp_path):
    small = {"steps": 256, "n_envs": 4, "n_steps": 16, "batch_size": 64, "net_arch": [8]}
    agents = (Agent(algorithm="maskable-ppo", seeds=(0,), changes=small),)
    board = Board(env="medsim/ICUAdmission-v0", agents=agents, references=("random", "admit-all", "optimal"), patients=3, curve_points=1,
                  validation_patients=2)  # fmt: skip
    hospital = Suite(name="hospital", purpose="tests", boards=(board,))
    records = load_records(run_suite(hospital, tmp_path, engine="serial"))
    assert {record["job"]["policy"]: record["role"] for record in records} == {
        "random": "floor", "admit-all": "protocol", "optimal": "ceiling", "maskable-ppo": "agent",
    }  # fmt: skip
    assert all(record["result"]["outcomes"] == {"watched_to_the_end": 3} for record in records)
    assert {row.policy for row in leaderboard(records, repetitions=20)} == {record["job"]["policy"] for record in records}
    assert all("forbidden_action" in record["result"]["costs"] for record in records)
    with pytest.raises(ValueError, match=r"with .*horizon.* has no floor and ceiling"):
        run_job(replace(jobs_of(hospital)[-1], settings={"horizon_days": 1}), tmp_path)


def test_a_record_says_where_the_settings_of_an_agent_come_from(serial_results):
    for record in load_records(serial_results):
        if record["job"]["kind"] == "reference":
            assert "settings_from" not in record
        else:
            assert record["settings_from"]["file"] == "glucose.toml"
            assert record["settings_from"]["trials"] == {"ppo": 13, "dqn": 4}[record["job"]["policy"]]
            assert "net_arch" in record["settings_from"]["changed"]


# The verb


def benchmark(*words):
    verb = next(one for one in verbs() if one.name == "benchmark")
    parser = argparse.ArgumentParser()
    verb.configure(parser)
    return verb.run(parser.parse_args(words))


def test_medsim_benchmark_runs_prints_and_writes_a_page(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("medsim_agents.suites.SUITES", (replace(TINY, boards=(replace(BOARD, agents=()),)),))
    assert benchmark("run", "tiny", "--engine", "serial", "--out", str(tmp_path)) == 0
    said = capsys.readouterr()
    assert "basal-bolus" in said.out
    assert str(tmp_path / "site" / "index.html") in said.out
    assert "basal-bolus" in (tmp_path / "site" / "index.html").read_text()
    assert benchmark("table", "tiny", "--out", str(tmp_path), "--json") == 0
    assert {row["policy"] for row in json.loads(capsys.readouterr().out)["rows"]} == {"random", "basal-bolus"}
    assert benchmark("page", "--out", str(tmp_path)) == 0


def test_a_table_of_nothing_says_what_to_run_first(tmp_path):
    with pytest.raises(ValueError, match="run medsim benchmark run quick first"):
        benchmark("table", "quick", "--out", str(tmp_path))
    with pytest.raises(ValueError, match="say which suite to run"):
        benchmark("run", "--out", str(tmp_path))


def test_rows_run_again_are_equal_to_the_bit_and_changed_ones_are_found(serial_results, tmp_path):
    found = verify(TINY, serial_results, rows=3, seed=1)
    assert len(found) == 3
    assert all(one.same and one.must_be and not one.failed for one in found)
    assert all(one.difference == 0 for one in found)
    again = verify(TINY, serial_results, rows=3, seed=1)
    assert [one.job for one in again] == [one.job for one in found]
    record = json.loads((serial_results / f"{found[0].job}.json").read_text())
    record["result"]["returns"][0] += 0.5
    (tmp_path / f"{found[0].job}.json").write_text(json.dumps(record))
    (changed,) = verify(TINY, tmp_path, rows=5)
    assert changed.failed
    assert "DIFFERS" in text_of([changed])
    assert "this should not be" in text_of([changed])


def test_an_agent_of_another_machine_may_differ_and_a_reference_policy_may_not(serial_results):
    records = [json.loads(path.read_text()) for path in sorted(serial_results.glob("*.json"))]
    for record in records:
        elsewhere = json.loads(json.dumps(record))
        elsewhere["hardware"]["cpu"] = "Another (8 in the machine)"
        elsewhere["result"]["returns"] = [value + 1.0 for value in elsewhere["result"]["returns"]]
        found = compared(elsewhere, record)
        assert found.failed is (record["job"]["kind"] == "reference")
        assert found.difference == pytest.approx(-1.0)
        assert found.far
        assert "processor Another then" in found.why
    assert comparable(records[0], records[0]) == ""


def test_verify_refuses_by_name(serial_results, tmp_path):
    with pytest.raises(ValueError, match="rows must be 1 or more, not 0"):
        verify(TINY, serial_results, rows=0)
    with pytest.raises(ValueError, match="kind must be agent, reference or any, not 'dog'"):
        verify(TINY, serial_results, kind="dog")
    with pytest.raises(ValueError, match="has no record of a job of the suite tiny"):
        verify(TINY, tmp_path)


def test_medsim_benchmark_verify_says_and_returns_what_it_found(serial_results, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("medsim_agents.suites.SUITES", (TINY,))
    place = tmp_path / "leaderboard" / "tiny"
    shutil.copytree(serial_results, place, ignore=shutil.ignore_patterns("runs"))
    words = ("verify", "tiny", "--rows", "2", "--kind", "reference", "--out", str(tmp_path))
    assert benchmark(*words) == 0
    assert "2 of 2 rows equal to the bit, on" in capsys.readouterr().out
    for path in place.glob("*.json"):
        record = json.loads(path.read_text())
        record["result"]["returns"][0] += 1.0
        path.write_text(json.dumps(record))
    assert benchmark(*words, "--json") == 1
    assert all(one["failed"] for one in json.loads(capsys.readouterr().out))


def test_ray_on_two_nodes_gives_the_same_results_to_the_byte(serial_results, tmp_path):
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        cluster.add_node(num_cpus=1)
        run_suite(TINY, tmp_path, engine="ray", address=cluster.address)
    finally:
        cluster.shutdown()
    one, other = (
        [json.dumps(without_time_and_machine(record)).encode() for record in load_records(place)] for place in (serial_results, tmp_path)
    )
    assert one == other


def test_an_address_is_for_ray_alone():
    with pytest.raises(ValueError, match="an address is for the engine ray, not for serial"):
        run_suite(TINY, engine="serial", address="auto")


def test_a_slurm_script_runs_what_is_missing_and_bash_accepts_it(serial_results, tmp_path):
    place = tmp_path / "leaderboard" / "tiny"
    place.mkdir(parents=True)
    jobs = jobs_of(TINY)
    shutil.copy(serial_results / f"{jobs[0].id}.json", place)
    script = slurm_script(TINY, tmp_path)
    assert f"#SBATCH --array=0-{len(jobs) - 2}%32" in script
    assert jobs[0].id not in script
    assert all(job.id in script for job in jobs[1:])
    done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    picked = script.replace("exec medsim", "echo medsim")
    said = subprocess.run(["bash", "-s"], input=picked, text=True, capture_output=True, check=True, env={"SLURM_ARRAY_TASK_ID": "1"})
    assert said.stdout.split()[-1] == jobs[2].id
    with pytest.raises(ValueError, match="there is nothing to run"):
        slurm_script(TINY, Path(shutil.copytree(serial_results, tmp_path / "all" / "leaderboard" / "tiny")).parents[1])
    with pytest.raises(ValueError, match="hours above 0"):
        slurm_script(TINY, tmp_path, hours=0)
