"""Results and policies from outside: what is sound is added and marked, everything else is refused by name."""

import argparse
import copy
import json
import pickle
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("stable_baselines3")
pytest.importorskip("safetensors")
from safetensors.numpy import save_file

from medsim.evaluation.rollout import evaluate
from medsim_agents import plan_training, train
from medsim_agents.benchmark import Job, jobs_of, run_job
from medsim_agents.leaderboard import leaderboard, load_records
from medsim_agents.leaderboard.bounds import bounds_of, refuse_impossible
from medsim_agents.outside_policies import load_outside
from medsim_agents.submission import submit_policy, submit_record
from medsim_agents.suites import EXPECTED_DEATHS, Board, Suite
from medsim_agents.verbs import verbs

GLUCOSE, SEPSIS, SCM, ICU = "medsim/Glucose-v0", "medsim/Sepsis-v0", "medsim/SepsisSCM-v0", "medsim/ICUAdmission-v0"
BOARDS = (
    Board(env=GLUCOSE, agents=(), references=("random", "basal-bolus"), patients=6),
    Board(env=SEPSIS, agents=(), settings=EXPECTED_DEATHS, references=("random", "adaptive"), patients=6),
    Board(env=SCM, agents=(), references=("random", "physician-soft"), patients=400),
    Board(env=ICU, agents=(), references=("random", "optimal"), patients=2),
)
TINY = Suite(name="tiny", purpose="tests", boards=BOARDS)


@pytest.fixture(autouse=True)
def only_the_tiny_suite(monkeypatch):
    monkeypatch.setattr("medsim_agents.suites.SUITES", (TINY,))
    monkeypatch.setattr("medsim_agents.submission.SUITES", (TINY,))


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """Records of real policies by environment, as somebody outside would have made them: agents called mine."""
    found = {}
    for job in jobs_of(TINY):
        if job.policy in ("basal-bolus", "adaptive", "physician-soft", "optimal"):
            found[job.env] = as_agent(run_job(job, tmp_path_factory.mktemp("records")))
    return found


def as_agent(record, **changed):
    """The record with another job, its id made to fit."""
    made = copy.deepcopy(dict(record))
    made["role"], made["job"] = "agent", {**made["job"], "policy": "mine", "kind": "agent", **changed}
    fields = {name: value for name, value in made["job"].items() if name != "id"}
    made["job"]["id"] = Job(**fields).id
    return made


def submitted(record, folder, by="A. N. Other"):
    file = folder / "result.json"
    file.write_text(json.dumps(record))
    return submit_record(file, by=by, results=folder / "leaderboard")


# Records


@pytest.mark.parametrize("env", [GLUCOSE, SEPSIS, SCM, ICU])
def test_an_honest_record_is_added_and_marked_as_not_verified(honest, env, tmp_path):
    path = submitted(honest[env], tmp_path)
    [row] = leaderboard(load_records(path.parent), repetitions=20)
    assert path.parent.name == "tiny"
    assert row.policy == "mine"
    assert row.submission == {"by": "A. N. Other", "how": "a record of results, result.json", "verified": False}


def test_statistics_that_follow_are_accepted_and_not_kept(honest, tmp_path):
    record = copy.deepcopy(honest[GLUCOSE])
    record["statistics"] = {"return_mean": float(np.mean(record["result"]["returns"]))}
    assert "statistics" not in json.loads(submitted(record, tmp_path).read_text())


def altered(record, path, value):
    """The record with one field set, or changed by a function; its id made to fit."""
    made = copy.deepcopy(record)
    *parents, last = path.split(".")
    inner = made
    for name in parents:
        inner = inner[name]
    inner[last] = value(inner.get(last)) if callable(value) else value
    return made if path == "job.id" else as_agent(made, policy=made["job"]["policy"])


def first(value):
    """A change of the first patient's figure alone."""
    return lambda values: [value, *values[1:]]


REFUSED = [
    (GLUCOSE, "surprise", 1, r"result.json: surprise is unknown; allowed: schema"),
    (GLUCOSE, "result.surprise", 1, r"result.surprise is unknown"),
    (GLUCOSE, "job.env", "medsim/Glucose-v7", r"'medsim/Glucose-v7', a version that is not judged here; allowed: medsim/Glucose-v0"),
    (GLUCOSE, "job.env", "medsim/Dialysis-v0", r"job.env is 'medsim/Dialysis-v0', which is unknown; allowed: medsim/Sepsis-v0"),
    (GLUCOSE, "job.env", "medsim/ICUSepsis-v0", r"suite tiny has no board for medsim/ICUSepsis-v0; it has medsim/Glucose-v0"),
    (GLUCOSE, "job.id", "0" * 16, r"job.id is '0000000000000000'; allowed: '[0-9a-f]{16}', the hash of what the record says"),
    (GLUCOSE, "job.suite", "grand", r"job.suite is 'grand'; allowed: tiny"),
    (GLUCOSE, "job.settings", {"days": 7}, r"job.settings is .*days.*; allowed in suite tiny: \{\}"),
    (GLUCOSE, "job.evaluation.patients", 5, r"result.returns is 6 figures; allowed: 5, one a patient"),
    (GLUCOSE, "job.evaluation.seed", 1, r"job.evaluation.seed is 1; allowed: 20260, as for all"),
    (GLUCOSE, "job.evaluation.cohort", "train", r"job.evaluation.cohort is 'train'; allowed: 'test'"),
    (GLUCOSE, "job.policy", "random", r"'random' has the role agent; reference policies are run here"),
    (GLUCOSE, "result.returns", first(0.5), r"result.returns\[0\] is 0.5, which cannot be: it lies from -288 to 0, since risk"),
    (GLUCOSE, "result.returns", first(-289.0), r"result.returns\[0\] is -289, which cannot be"),
    (GLUCOSE, "result.returns", first(-1.0), r"result.normalised\[0\] is .*; a return of -1 makes it 1.00"),
    (GLUCOSE, "result.normalised", first(0.99), r"result.normalised\[0\] is 0.99; a return of"),
    (GLUCOSE, "result.metrics", {}, r"result.metrics has nothing; allowed: time_in_range"),
    (GLUCOSE, "result.outcomes", {"cured": 6}, r"result.outcomes has 'cured'; allowed: day_completed, severe_hypoglycaemia"),
    (GLUCOSE, "statistics", {"return_mean": 0.0}, r"statistics.return_mean is 0.0; the lists make it -"),
    (GLUCOSE, "statistics", {"charm": 1.0}, r"statistics.charm is unknown; allowed: return_mean"),
    (SEPSIS, "result.returns", first(1.2), r"result.returns\[0\] is 1.2, which cannot be: it lies from -1 to 1, since survival is 1"),
    (SEPSIS, "result.metrics.death_probability", first(0.001), r"death_probability\[0\] 0.001: expected survival is 1 less twice that"),
    (SCM, "result.returns", lambda values: [1.0] * 400, r"result.returns have mean 1.0000; the best policy there can be is worth 0.58"),
    (SCM, "result.returns", first(2.0), r"result.returns\[0\] is 2, which cannot be: it lies from -1 to 1"),
    (ICU, "result.returns", first(3.0), r"result.returns\[0\] is 3, which cannot be: .* every term of a hospital's reward is a price paid"),
]  # fmt: skip


@pytest.mark.parametrize(("env", "path", "value", "said"), REFUSED)
def test_what_is_not_sound_is_refused_by_name(honest, env, path, value, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        submitted(altered(honest[env], path, value), tmp_path)
    assert not (tmp_path / "leaderboard").exists()


def with_cost(record, name, value):
    """The record with another cost of the first patient, and the sum that goes with it."""
    made = copy.deepcopy(record)
    costs = made["result"]["costs"]
    costs[name][0] = value
    made["result"]["cost"][0] = sum(values[0] for values in costs.values())
    return made


@pytest.mark.parametrize(
    ("env", "name", "value", "said"),
    [
        (GLUCOSE, "glucose_above_250", 289.0, r"costs.glucose_above_250\[0\] is 289, which cannot be: it lies from 0 to 288"),
        (GLUCOSE, "glucose_below_54", 200.0, r"costs.glucose_below_54\[0\] is 200, more than glucose_below_70\[0\]"),
        (SEPSIS, "map_below_65", 73.0, r"costs.map_below_65\[0\] is 73, which cannot be: it lies from 0 to 72"),
        (SCM, "vasopressor", 21.0, r"costs.vasopressor\[0\] is 21, which cannot be: it lies from 0 to 20"),
    ],
)
def test_costs_beyond_what_an_episode_can_hold_are_refused(honest, env, name, value, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        submitted(with_cost(honest[env], name, value), tmp_path)


def test_a_file_that_is_no_record_and_a_submitter_without_a_name_are_refused(honest, tmp_path):
    for text, said in (("{", "is not JSON"), ("[]", "is list; allowed: an object"), ("{}", "schema is missing")):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(ValueError, match=said):
            submit_record(tmp_path / "bad.json", by="me", results=tmp_path)
    with pytest.raises(ValueError, match="say who submits it with --by"):
        submitted(honest[GLUCOSE], tmp_path, by=" ")


def test_a_name_is_its_first_submitters(honest, tmp_path):
    submitted(honest[GLUCOSE], tmp_path)
    with pytest.raises(ValueError, match="is there already"):
        submitted(honest[GLUCOSE], tmp_path)
    with pytest.raises(ValueError, match="the name 'mine' is taken on this board"):
        submitted(as_agent(honest[GLUCOSE], seed=1), tmp_path, by="somebody else")
    with pytest.raises(ValueError, match="is there with other settings or this very seed"):
        submitted(as_agent(honest[GLUCOSE], seed=1, steps=9), tmp_path)
    submitted(as_agent(honest[GLUCOSE], seed=1), tmp_path)
    assert len(load_records(tmp_path / "leaderboard" / "tiny")) == 2


def test_every_result_of_the_main_job_lies_within_its_bounds():
    folder = Path(__file__).parent.parent / "benchmarks" / "results" / "leaderboard" / "quick"
    records = load_records(folder)
    for record in records[::3]:
        refuse_impossible(record, record["job"]["id"])
    assert bounds_of(SCM, {}).best_mean == pytest.approx(0.5808, abs=1e-4)
    assert bounds_of(SEPSIS, {"reward": "shaped"}).highest == np.inf


# Policies


def network(folder, seen=25, actions=8, name="mine.safetensors", metadata=None, **tensors):
    """A small network with drawn weights, as a file."""
    rng = np.random.default_rng(0)
    layers = {
        "layer.0.weight": rng.normal(size=(16, seen)), "layer.0.bias": np.zeros(16),
        "layer.1.weight": rng.normal(size=(actions, 16)), "layer.1.bias": np.zeros(actions),
    } | tensors  # fmt: skip
    said = {"format": "medsim-mlp-1", "activation": "tanh"} | (metadata or {})
    arrays = {key: np.asarray(value, dtype=np.float32) for key, value in layers.items() if value is not None}
    save_file(arrays, folder / name, metadata={key: value for key, value in said.items() if value is not None})
    return folder / name


def given(file, folder, env=GLUCOSE, **more):
    told = {"by": "A. N. Other", "to": "tiny", "env_id": env, "policy_name": "mine", "results": folder / "leaderboard", **more}
    return submit_policy(file, **told)


def test_a_network_is_judged_here_and_marked_so(tmp_path):
    path = given(network(tmp_path), tmp_path)
    [record] = load_records(path.parent)
    assert record["submission"]["verified"] is True
    assert record["job"]["evaluation"] == {"cohort": "test", "patients": 6, "seed": 20260}
    assert "SHA-256" in record["command"]
    assert record["result"]["returns"] == evaluate(GLUCOSE, load_outside(network(tmp_path), GLUCOSE, "x"), patients=6).returns.tolist()


def test_a_network_computes_what_its_format_says(tmp_path):
    mean, scale = np.full(25, 0.5), np.full(25, 2.0)
    file = network(tmp_path, **{"observation.mean": mean, "observation.scale": scale}, metadata={"activation": "relu"})
    policy, seen = load_outside(file, GLUCOSE, "x"), np.random.default_rng(1).normal(size=(5, 25)).astype(np.float32)
    from safetensors.numpy import load_file

    parts = load_file(file)
    hidden = np.maximum(((seen - 0.5) * 2.0) @ parts["layer.0.weight"].T + parts["layer.0.bias"], 0)
    np.testing.assert_allclose(policy.function(seen), hidden @ parts["layer.1.weight"].T, rtol=1e-5)


def test_a_network_of_doses_acts_under_its_options(tmp_path):
    file = network(tmp_path, actions=1, metadata={"options": '{"action": "continuous"}'})
    record = json.loads(given(file, tmp_path).read_text())
    assert record["job"]["hyperparameters"] == {"options": {"action": "continuous"}}


BROKEN = [
    ({"metadata": {"format": "mlp"}}, r"metadata format is 'mlp'; allowed: 'medsim-mlp-1'"),
    ({"metadata": {"activation": "gelu"}}, r"metadata activation is 'gelu'; allowed: tanh, relu"),
    ({"metadata": {"options": "[1]"}}, r"metadata options is '\[1\]'; allowed: a JSON object"),
    ({"layer.1.bias": None}, r"tensors are .*; allowed: layer.0.weight"),
    ({"layer.2.wait": [1.0]}, r"tensors are .*; allowed: layer.0.weight"),
    ({"layer.0.bias": np.full(16, np.nan)}, r"layer.0.bias holds numbers that are not finite"),
    ({"layer.1.bias": np.zeros(3)}, r"layer.1 has shapes \(8, 16\) and \(3,\)"),
    ({"seen": 24}, r"mine reads 24 numbers, and medsim/Glucose-v0 shows 25"),
    ({"actions": 5}, r"mine gives figures of shape \(6, 5\), .*allowed: \(6, 8\), finite"),
]


@pytest.mark.parametrize(("changes", "said"), BROKEN)
def test_a_broken_network_is_refused_by_name(changes, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        given(network(tmp_path, **changes), tmp_path)
    assert not (tmp_path / "leaderboard").exists()


class Trap:
    """A pickle that leaves a trace as it is read."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return (Path.touch, (self.trace,))


@pytest.mark.parametrize("ending", [".pkl", ".pt", ".zip", ".pth"])
def test_files_that_can_run_code_are_not_read_unless_they_are_trusted(ending, tmp_path):
    trace, file = tmp_path / "trace", tmp_path / f"mine{ending}"
    file.write_bytes(pickle.dumps(Trap(trace)))
    with pytest.raises(ValueError, match=rf"a \{ending} file, which can run any code as it is read: read it with --trust"):
        given(file, tmp_path)
    assert not trace.exists()


def test_a_trusted_pickle_is_read_and_must_be_a_policy(tmp_path):
    (tmp_path / "mine.pkl").write_bytes(pickle.dumps({"weights": [1.0]}))
    with pytest.raises(ValueError, match=r"mine.pkl holds a dict, which is no policy: it has no begin, act, options"):
        given(tmp_path / "mine.pkl", tmp_path, trust=True)
    (tmp_path / "fixed.pkl").write_bytes(pickle.dumps(FixedBasal()))
    assert given(tmp_path / "fixed.pkl", tmp_path, trust=True).is_file()


class FixedBasal:
    """A policy that a pickle can hold: always the first action."""

    name, options = "fixed", {}

    def begin(self, env):
        self.n = env.num_envs

    def act(self, observations):
        return np.zeros(len(observations), dtype=np.int64)


def test_run_folders_and_models_are_read_when_trusted(tmp_path):
    small = {"steps": 256, "n_envs": 8, "n_steps": 16, "batch_size": 64, "n_epochs": 1, "net_arch": [8], "validation_patients": 2}
    run = train(plan_training(GLUCOSE, "ppo", curve_points=1, normalise_observations=False, **small), tmp_path / "run")
    with pytest.raises(ValueError, match="is a run folder, which can run any code"):
        given(run, tmp_path)
    of_run = json.loads(given(run, tmp_path, trust=True, policy_name="run").read_text())
    with pytest.raises(ValueError, match="does not say of which algorithm it is: give --algo"):
        given(run / "model.zip", tmp_path, trust=True)
    of_model = json.loads(given(run / "model.zip", tmp_path, trust=True, algorithm="ppo").read_text())
    assert of_model["result"]["returns"] == of_run["result"]["returns"]
    with pytest.raises(ValueError, match="is not one for medsim/ICUAdmission-v0"):
        given(run, tmp_path, env=ICU, trust=True)


def test_a_table_of_medsim_solve_is_read(tmp_path):
    from medsim.policies import reference_policies
    from medsim.policies.table import save_table
    from medsim.registry import make_task

    table = reference_policies(SCM)["physician-soft"]().table(make_task(SCM))
    save_table(tmp_path / "mine.npz", table, SCM, {"observation": "full"}, "soft")
    assert json.loads(given(tmp_path / "mine.npz", tmp_path, env=SCM).read_text())["submission"]["verified"] is True


def test_what_is_no_policy_or_has_no_place_is_refused_by_name(tmp_path):
    (tmp_path / "mine.exe").touch()
    file = network(tmp_path)
    for said, wrong, more in (
        ("there is no file or folder", tmp_path / "nowhere.onnx", {}),
        ("mine.exe is of no kind that is read here; allowed: a record", tmp_path / "mine.exe", {}),
        ("is that of a policy of the suite", file, {"policy_name": "basal-bolus"}),
        ("a name must be of small letters", file, {"policy_name": "My Policy!"}),
        ("no suite is called 'grand'", file, {"to": "grand"}),
        ("policies for hospitals are read from run folders only", file, {"env": ICU}),
    ):
        with pytest.raises(ValueError, match=said):
            given(wrong, tmp_path, **more)


def test_without_onnxruntime_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    (tmp_path / "mine.onnx").touch()
    with pytest.raises(ValueError, match="pip install onnxruntime"):
        given(tmp_path / "mine.onnx", tmp_path)


def test_an_onnx_network_does_what_the_same_safetensors_do(tmp_path):
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    from safetensors.numpy import load_file

    parts = load_file(network(tmp_path))
    names = {"layer.0.weight": "a", "layer.0.bias": "b", "layer.1.weight": "c", "layer.1.bias": "d"}
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node("Gemm", ["seen", "a", "b"], ["h"], transB=1), helper.make_node("Tanh", ["h"], ["t"]),
        helper.make_node("Gemm", ["t", "c", "d"], ["out"], transB=1),
    ]  # fmt: skip
    ends = [helper.make_tensor_value_info(name, kind, ["n", size]) for name, size in (("seen", 25), ("out", 8))]
    weights = [onnx.numpy_helper.from_array(parts[name], short) for name, short in names.items()]
    model = helper.make_model(helper.make_graph(nodes, "mine", ends[:1], ends[1:], weights), opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.save(model, tmp_path / "mine.onnx")
    one, other = (evaluate(GLUCOSE, load_outside(tmp_path / f"mine.{end}", GLUCOSE, "x"), patients=4) for end in ("onnx", "safetensors"))
    np.testing.assert_allclose(one.returns, other.returns)
    (tmp_path / "broken.onnx").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="is no ONNX file that can be run"):
        load_outside(tmp_path / "broken.onnx", GLUCOSE, "x")


# The verb


def test_medsim_benchmark_submit_adds_a_row_and_writes_the_page(tmp_path, capsys):
    verb = next(one for one in verbs() if one.name == "benchmark")
    parser = argparse.ArgumentParser()
    verb.configure(parser)

    def submit(*words):
        return verb.run(parser.parse_args(["submit", *map(str, words), "--out", str(tmp_path)]))

    assert submit(network(tmp_path), "--by", "A. N. Other", "--to", "tiny", "--env", GLUCOSE) == 0
    assert "added" in capsys.readouterr().out
    page = (tmp_path / "site" / "index.html").read_text()
    assert "submitted by A. N. Other, judged here" in page
    with pytest.raises(ValueError, match="say where a policy is to be judged: --to SUITE --env ENVIRONMENT"):
        submit(network(tmp_path), "--by", "me")
    with pytest.raises(ValueError, match="say which file to submit"):
        submit("--by", "me")


def test_a_board_that_holds_more_patients_asks_for_more(honest, tmp_path, monkeypatch):
    more = replace(TINY, boards=(replace(BOARDS[0], patients=7),))
    monkeypatch.setattr("medsim_agents.suites.SUITES", (more,))
    with pytest.raises(ValueError, match=r"job.evaluation.patients is 6; allowed: 7, as for all"):
        submitted(honest[GLUCOSE], tmp_path)
