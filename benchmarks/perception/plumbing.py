"""How fast agents of septic patients learn by each route that their observations can take into Stable-Baselines3.

    python -m benchmarks.perception.plumbing --rounds 5

Each route is the whole loop of PPO (collecting and learning, 8 patients, rollouts of 64 steps, 4 epochs, batches of 64) on
``observation="multimodal"``, an X-ray every 6 hours. Routes run side by side, round after round, on one thread; the figures are medians
over the rounds with the lowest and the highest, in environment steps for each second of processor time.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ENV = "medsim/Sepsis-v0"
PATIENTS, ROLLOUT = 8, 64
RESULTS = Path(__file__).parent / "results"


def patients(observation: str, **options: Any) -> Any:
    from medsim_agents.vec_env import make_vec_env

    return make_vec_env(ENV, PATIENTS, seed=0, observation=observation, lungs="varied", **options)


def model_of(policy: str, env: Any, **kwargs: Any) -> Any:
    from stable_baselines3 import PPO

    return PPO(policy, env, n_steps=ROLLOUT, batch_size=64, n_epochs=4, device="cpu", seed=0, policy_kwargs=kwargs)


def through_extractor(trainable: bool) -> Any:
    from medsim_agents.perception import ClinicalExtractor
    from medsim_perception.state import perceived_sepsis

    told = {"state": perceived_sepsis(), "trainable": trainable}
    return model_of("MultiInputPolicy", patients("multimodal"), features_extractor_class=ClinicalExtractor, features_extractor_kwargs=told)


def through_wrapper() -> Any:
    from medsim_agents.perception import PerceptionVecWrapper
    from medsim_perception.state import perceived_sepsis

    return model_of("MlpPolicy", PerceptionVecWrapper(patients("multimodal"), perceived_sepsis()))


ROUTES: dict[str, tuple[str, Callable[[], Any]]] = {
    "true": ("true state, MlpPolicy: nothing is perceived", lambda: model_of("MlpPolicy", patients("full"))),
    "wrapper": ("frozen encoders in PerceptionVecWrapper, MlpPolicy", through_wrapper),
    "combined": ("SB3's CombinedExtractor (NatureCNN, chart flattened)", lambda: model_of("MultiInputPolicy", patients("multimodal"))),
    "frozen": ("ClinicalExtractor, frozen, inside the policy", lambda: through_extractor(False)),
    "fine-tuned": ("ClinicalExtractor, learning", lambda: through_extractor(True)),
}


def steps_per_s(model: Any, rollouts: int) -> float:
    """Return environment steps for each second of processor time."""
    began = time.process_time()
    model.learn(rollouts * ROLLOUT * PATIENTS, reset_num_timesteps=False)
    return rollouts * ROLLOUT * PATIENTS / (time.process_time() - began)


def buffer_kib(model: Any) -> float:
    """Return how much of the rollout buffer a step's observation takes, KiB."""
    kept = model.rollout_buffer.observations
    size = sum(array.nbytes for array in kept.values()) if isinstance(kept, dict) else kept.nbytes
    return float(size) / (ROLLOUT * PATIENTS) / 1024


def measured(rounds: int, progress: Any) -> dict[str, Any]:
    """Return the figures of every route."""
    models = {name: make() for name, (_, make) in ROUTES.items()}
    speeds: dict[str, list[float]] = {name: [] for name in models}
    for model in models.values():
        steps_per_s(model, 1)
    for _ in range(rounds):
        for name, model in models.items():
            speeds[name].append(steps_per_s(model, 8 if name == "true" else 2 if name == "wrapper" else 1))
            progress.update()
    rows = {}
    for name, values in speeds.items():
        rows[name] = {
            "what": ROUTES[name][0], "steps_per_cpu_s": statistics.median(values), "lowest": min(values), "highest": max(values),
            "buffer_kib_per_step": round(buffer_kib(models[name]), 2),
        }  # fmt: skip
    over = [ours / theirs for ours, theirs in zip(speeds["wrapper"], speeds["combined"], strict=True)]
    return {"rounds": rounds, "routes": rows, "wrapper_over_combined": [statistics.median(over), min(over), max(over)]}


def page(found: dict[str, Any]) -> str:
    """Return the figures as a page."""
    middle, low, high = found["wrapper_over_combined"]
    lines = [
        "# Routes of an observation into Stable-Baselines3", "",
        f"`python -m benchmarks.perception.plumbing --rounds {found['rounds']}`, one thread of two cores, CPU; medians over rounds run side"
        " by side (lowest to highest).", "",
        f"Frozen encoders in a `PerceptionVecWrapper`: **{middle:.1f} times** ({low:.1f} to {high:.1f}) the speed of SB3's extractor.", "",
        "| route | steps/s of processor time | observation in the rollout buffer, KiB a step |",
        "|---|---|---|",
    ]  # fmt: skip
    for row in found["routes"].values():
        speed = f"{row['steps_per_cpu_s']:,.0f} ({row['lowest']:,.0f} to {row['highest']:,.0f})"
        lines.append(f"| {row['what']} | {speed} | {row['buffer_kib_per_step']} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, and write ``results/plumbing.json`` and ``.md``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    import torch
    from tqdm import tqdm

    torch.set_num_threads(1)
    with tqdm(total=args.rounds * len(ROUTES), desc="routes", unit="run") as progress:
        found = measured(args.rounds, progress)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "plumbing.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (args.out / "plumbing.md").write_text(page(found), encoding="utf-8")
    print(page(found))


if __name__ == "__main__":
    main()
