"""The perception board: what agents lose that perceive septic patients instead of knowing them.

    python -m benchmarks.perception.board                      # every arm, 10 seeds; goes on where it stopped
    python -m benchmarks.perception.board --arms frozen blind --seeds 0 1

The agent gives fluid every 4 hours, nurses titrate norepinephrine, and an X-ray is taken every 12 hours. The same PPO, settings and
training patients for every arm; all are judged on the same test patients. Arms:

    true            the true state of the patient (observation="full")
    true-findings   what the frozen arm sees, with the truth in place of what the encoder reads off the X-ray: perfect image reading
    frozen          chart and X-ray through the shipped encoders, which stay as they are (PerceptionVecWrapper)
    fine-tuned      the frozen arm's agent, with encoders that learn on (ClinicalExtractor) for some more steps
    raw             chart and X-ray as they are (Stable-Baselines3's CombinedExtractor): it is slow
    blind           the frozen arm without the X-ray

Beside them two that learn nothing: `protocol`, the fluid of the Surviving Sepsis protocol (its norepinephrine is what the nurses give), and
`random`.

The perception gap is (J_true - J_arm) / (J_true - J_blind), given against both meanings of the truth.
"""

import argparse
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.perception.board_page import write_page

ENV = "medsim/Sepsis-v0"
OPTIONS: dict[str, Any] = {"step_hours": 4, "xray_hours": 12, "norepinephrine": "nurses", "lungs": "varied"}
SETTINGS: dict[str, Any] = {
    "learning_rate": 1e-3, "learning_rate_final": 0.0, "n_steps": 18, "batch_size": 288, "n_epochs": 6, "gamma": 1.0, "gae_lambda": 0.9,
    "ent_coef": 0.0, "activation": "relu", "normalise_rewards": False,
}  # fmt: skip  # medsim train's for Sepsis, with decisions every 4 h and a quarter of the patients side by side
ENVS = 64
STEPS = {"true": 400_000, "true-findings": 400_000, "frozen": 400_000, "blind": 400_000, "raw": 400_000, "fine-tuned": 10_000}
ARMS = tuple(STEPS)
REFERENCES = ("protocol", "random")
TEST_PATIENTS = 1000
RESULTS = Path(__file__).parent / "results" / "board"
AGENTS = Path("runs") / "perception" / "board"  # of the frozen arm, which the fine-tuned arm begins with
FINDINGS = ("lung_water_ml_per_kg", "consolidation", "effusion_ml")


class TrueFindings:
    """What an X-ray would show, as it is: read from the batch of patients, for arms that are to know it."""

    needs = ()
    names = tuple(f"true_{name}" for name in FINDINGS)
    low = np.zeros(len(FINDINGS), dtype=np.float32)
    high = np.array([60.0, 1.0, 5000.0], dtype=np.float32)
    batch: Any = None

    def read(self, observations: Mapping[str, Any], last: Any) -> Any:
        n = len(observations["time_h"])
        if n != self.batch.n:  # last observations of some: nothing follows them, and no agent here looks at them
            return np.zeros((n, len(FINDINGS)), dtype=np.float32)
        return np.stack([self.batch.fields("state", name, np.arange(n)) for name in FINDINGS], axis=1).astype(np.float32)


def state_of(arm: str) -> Any:
    """Return how an arm perceives."""
    from medsim_perception.state import PerceivedState, perceived_sepsis

    if arm == "true-findings":
        return PerceivedState([*perceived_sepsis(image=False).senses, TrueFindings()])
    return perceived_sepsis(image=arm != "blind")


def patients_of(arm: str, seed: int) -> Any:
    """Return the training patients as an arm sees them, normalised as its settings say."""
    from stable_baselines3.common.vec_env import VecNormalize

    from medsim_agents.construction import normalised
    from medsim_agents.perception import PerceptionVecWrapper
    from medsim_agents.vec_env import make_vec_env

    seen = {"true": "full", "blind": "ehr", "true-findings": "ehr"}.get(arm, "multimodal")
    venv: Any = make_vec_env(ENV, ENVS, seed=1000 + seed, unit_actions=True, reward="shaped", observation=seen, **OPTIONS)
    if arm == "true":
        return normalised(venv, SETTINGS)
    if arm == "raw":
        numbers = [name for name in venv.observation_space.spaces if name not in ("image", "ehr_mask", "demographics_mask")]
        return VecNormalize(venv, norm_reward=False, norm_obs_keys=numbers)
    if arm == "fine-tuned":
        return venv
    state = state_of(arm)
    if arm == "true-findings":
        state.senses[-1].batch = venv.batch
    return normalised(PerceptionVecWrapper(venv, state), SETTINGS)


def judged(arm: str, model: Any, scale: Any) -> Any:
    """Return how an arm's agent does on the test patients."""
    from medsim.evaluation.rollout import evaluate
    from medsim_agents.perception import PerceivedPolicy
    from medsim_agents.policies import ModelPolicy

    seen = {"true": "full", "blind": "ehr", "true-findings": "ehr"}.get(arm, "multimodal")
    options = {**OPTIONS, "observation": seen, "deaths": "expected"}
    policy: Any = ModelPolicy(arm, model, scale, options)
    if arm in ("frozen", "blind", "true-findings"):
        policy = PerceivedPolicy(arm, model, scale, options, state_of(arm))
        if arm == "true-findings":
            policy.begin = knowing(policy)
    return evaluate(ENV, policy, patients=TEST_PATIENTS)


def knowing(policy: Any) -> Callable[[Any], None]:
    """Return a policy's ``begin`` that also shows it the patients."""
    begin = policy.begin

    def shown(env: Any) -> None:
        policy.state.senses[-1].batch = env.batch
        begin(env)

    return shown


def train_arm(arm: str, seed: int, steps: int, folder: Path, progress: Any) -> dict[str, Any]:
    """Return what came of one training; the frozen agent is kept for the fine-tuned arm."""
    from medsim_agents.construction import build_model
    from medsim_agents.policies import scale_in_training

    began, cpu = time.monotonic(), time.process_time()
    env = patients_of(arm, seed)
    model = fine_tuning(env, seed, folder) if arm == "fine-tuned" else build_model("ppo", env, seed, SETTINGS)
    model.learn(steps, callback=progress)
    trained, trained_cpu = time.monotonic() - began, time.process_time() - cpu
    scale = scale_in_training(model)
    if arm == "frozen":
        model.save(folder / f"frozen-{seed}.zip")
        env.save(str(folder / f"frozen-{seed}.pkl"))
    return record_of(arm, seed, int(model.num_timesteps), trained, trained_cpu, judged(arm, model, scale))


def record_of(arm: str, seed: int, steps: int, trained: float, trained_cpu: float, result: Any) -> dict[str, Any]:
    """Return a result as it is kept."""
    return {
        "arm": arm, "seed": seed, "steps": steps, "train_s": round(trained, 1), "train_cpu_s": round(trained_cpu, 1),
        "return_mean": float(result.returns.mean()), "returns": [round(float(value), 6) for value in result.returns],
        "death_probability": float(result.metrics["death_probability"].mean()),
        "costs": {name: float(values.mean()) for name, values in result.costs.items()},
    }  # fmt: skip


class FluidOf:
    """The fluid that another policy gives: what is left to decide where nurses titrate norepinephrine."""

    def __init__(self, policy: Any) -> None:
        self.policy, self.name, self.options = policy, f"{policy.name}, fluid", policy.options

    def begin(self, env: Any) -> None:
        self.policy.begin(env)

    def act(self, observations: Any) -> Any:
        return self.policy.act(observations)[:, :1]


def reference(arm: str) -> dict[str, Any]:
    """Return what a policy that learns nothing reaches, as `train_arm` does."""
    from medsim.evaluation.rollout import evaluate
    from medsim.policies import reference_policies

    there = reference_policies(ENV)
    policy: Any = there["random"]() if arm == "random" else FluidOf(there["surviving-sepsis"]())
    result = evaluate(ENV, policy, options={**OPTIONS, "deaths": "expected"}, patients=TEST_PATIENTS)
    return record_of(arm, 0, 0, 0.0, 0.0, result)


def fine_tuning(env: Any, seed: int, folder: Path) -> Any:
    """Return a model that acts as the frozen arm's agent does, and whose encoders can learn.

    Raises:
        FileNotFoundError: the frozen arm of that seed has not been trained.
    """
    import pickle

    import torch
    from stable_baselines3 import PPO

    from medsim_agents.construction import build_model
    from medsim_agents.perception import ClinicalExtractor

    kept = folder / f"frozen-{seed}.zip"
    if not kept.is_file():
        raise FileNotFoundError(f"{kept}: train the arm frozen with seed {seed} first")
    frozen = PPO.load(kept, device="cpu")
    with (folder / f"frozen-{seed}.pkl").open("rb") as file:
        normaliser = pickle.load(file)  # written by this script
    spread = np.sqrt(normaliser.obs_rms.var + normaliser.epsilon)
    told = {"state": state_of("frozen"), "centre": normaliser.obs_rms.mean, "spread": spread}
    gentle = {**SETTINGS, "learning_rate": 1e-4, "n_epochs": 2}
    model = build_model("ppo", env, seed, gentle, features_extractor_class=ClinicalExtractor, features_extractor_kwargs=told)
    own, theirs = model.policy.state_dict(), frozen.policy.state_dict()
    with torch.no_grad():
        for name, values in theirs.items():
            own[name].copy_(values)
    return model


def main() -> None:
    """Run what is missing, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(range(10)))
    parser.add_argument("--share", type=float, default=1.0, help="of the steps, for a quick look (default %(default)s)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of results (default %(default)s)")
    args = parser.parse_args()
    import torch

    if args.share != 1.0 and args.out == RESULTS:
        raise ValueError(f"a quick look (--share {args.share:g}) does not belong among the results: give --out FOLDER")
    torch.set_num_threads(1)
    work = AGENTS if args.out == RESULTS else args.out / "agents"
    work.mkdir(parents=True, exist_ok=True)
    for arm in sorted(args.arms, key=lambda one: one == "fine-tuned"):
        for seed in args.seeds:
            file = args.out / f"{arm}-{seed}.json"
            if not file.is_file():
                result = train_arm(arm, seed, max(int(STEPS[arm] * args.share), 1), work, bar_of(arm, seed, STEPS[arm] * args.share))
                partial = file.with_suffix(".tmp")
                partial.write_text(json.dumps(result) + "\n", encoding="utf-8")
                partial.replace(file)
                print(f"{arm} seed {seed}: {result['return_mean']:.4f}, {result['train_s']:.0f} s", flush=True)
    for arm in REFERENCES:
        file = args.out / f"{arm}-0.json"
        if not file.is_file():
            file.write_text(json.dumps(reference(arm)) + "\n", encoding="utf-8")
    write_page(args.out)


def bar_of(arm: str, seed: int, steps: float) -> Any:
    """Return a callback that shows how far a training is."""
    from stable_baselines3.common.callbacks import BaseCallback
    from tqdm import tqdm

    class Bar(BaseCallback):
        def _on_training_start(self) -> None:
            self.bar = tqdm(total=int(steps), unit="step", desc=f"{arm} seed {seed}", mininterval=5.0)

        def _on_step(self) -> bool:
            self.bar.update(self.training_env.num_envs)
            return True

        def _on_training_end(self) -> None:
            self.bar.close()

    return Bar()


if __name__ == "__main__":
    main()
