"""What is learnt from the protocol's logged decisions alone: BC, CQL, IQL, BCQ and TD3+BC beside who acted and the protocol.

    python -m benchmarks.safety.offline                       # about twenty minutes of one core; goes on where it stopped
    python -m benchmarks.safety.offline --studies sepsis-doses --seeds 0 1

A seed is another set of 1,000 training patients, other weights and other batches; settings are those of ``medsim train``. Policies are
judged on the environment's test patients, exactly where courses are a table.
"""

import argparse
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from medsim.core.files import write_whole
from medsim.datasets.clinician import clinician
from medsim.evaluation.rollout import evaluate
from medsim.evaluation.scoring import exact_score
from medsim.policies import reference_policies
from medsim.policies.policy import Policy
from medsim.registry import card

RESULTS = Path(__file__).parent / "results"
CHOOSING, DOSING = ("bc", "cql", "iql", "bcq"), ("bc", "cql", "iql", "bcq", "td3-bc")


@dataclass(frozen=True, kw_only=True)
class Study:
    """An environment as agents see it, and who learns; ``told``: a word on what is special."""

    env: str
    algorithms: tuple[str, ...]
    told: str
    options: dict[str, Any] = field(default_factory=dict)


SCM, ICU, SEPSIS = "medsim/SepsisSCM-v0", "medsim/ICUSepsis-v0", "medsim/Sepsis-v0"
STUDIES = {
    "scm": Study(env=SCM, algorithms=CHOOSING, options={"observation": "full"}, told="agents see all that the physician saw"),
    "scm-hidden": Study(env=SCM, algorithms=CHOOSING, told="the physician saw diabetes and agents do not: confounded"),
    "icu-sepsis": Study(env=ICU, algorithms=CHOOSING, told="a clinician who decides by chance"),
    "sepsis-grid": Study(env=SEPSIS, algorithms=CHOOSING, options={"action": "discrete"}, told="the protocol rounded to the grid"),
    "sepsis-doses": Study(env=SEPSIS, algorithms=DOSING, options={"action": "continuous"}, told="the protocol's doses, jittered"),
}


def score_of(env_id: str, policy: Policy, options: dict[str, Any]) -> dict[str, Any]:
    """Return a policy's return, score and costs on test patients; return and score exactly where that can be."""
    seen = {**{name: value for name, value in policy.options.items() if name == "observation"}}
    found = evaluate(env_id, policy, options={**options, **seen}, patients=max(card(env_id).patients, 400))
    exact = exact_score(env_id, policy, options={**options, **seen})
    return {
        "return": float(found.returns.mean()) if exact is None else exact.exact.value,
        "score": float(found.normalised.mean()) if exact is None else exact.normalised, "exact": exact is not None,
        "costs": {name: float(values.mean()) for name, values in found.costs.items()},
    }  # fmt: skip


def one_training(study: Study, algorithm: str, seed: int) -> dict[str, Any]:
    """Learn and judge."""
    from medsim_agents.offline.data import logged_episodes, record_of_data
    from medsim_agents.offline.encoding import encoding_of, transitions_of
    from medsim_agents.offline.training import begun_anew
    from medsim_agents.policies import ModelPolicy
    from medsim_agents.threads import single_threaded
    from medsim_agents.training import plan_training

    planned, began = plan_training(study.env, algorithm, seed=seed, options=study.options), time.process_time()
    episodes = logged_episodes(planned)
    learner = begun_anew(planned, encoding_of(episodes))
    with single_threaded():
        learner.learn(transitions_of(episodes, learner.encoding), planned.hyperparameters["steps"])
    spent = time.process_time() - began
    model = ModelPolicy(algorithm, learner, None, planned.options)
    return {
        "algorithm": algorithm, "seed": seed, "steps": learner.num_timesteps, "cpu_s": round(spent, 1), "data": record_of_data(episodes),
        **score_of(study.env, model, dict(planned.options)),
    }  # fmt: skip


def teachers(study: Study) -> dict[str, Any]:
    """Return the scores of who acted and of the protocol with its own doses."""
    from medsim_agents.offline.data import LOGGING
    from medsim_agents.training import plan_training

    options = dict(plan_training(study.env, "bc", options=study.options).options)
    acted = clinician(study.env, options, LOGGING["epsilon"], LOGGING["spread"])
    protocol = reference_policies(study.env)[card(study.env).protocol_policy]()
    found = {"who acted": score_of(study.env, acted, options)}
    if acted.name != protocol.name:
        found |= {"the protocol": score_of(study.env, protocol, dict(protocol.options))}
        inner = getattr(acted, "policy", acted)
        if inner.name != protocol.name:
            found |= {inner.name: score_of(study.env, inner, options)}
    return found


def kept(path: Path, make: Any) -> dict[str, Any]:
    """Return what a file holds, or what ``make`` finds, written there whole."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(make(), indent=1) + "\n")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def measured(args: argparse.Namespace) -> dict[str, Any]:
    """Learn what is missing; returns everything by study."""
    work = [(seed, name, algorithm) for seed in args.seeds for name in args.studies for algorithm in STUDIES[name].algorithms]
    records: dict[str, Any] = {name: {"teachers": {}, "records": []} for name in args.studies}
    folder = args.out / "offline"
    for name in args.studies:
        records[name]["teachers"] = kept(folder / f"{name}-teachers.json", lambda name=name: teachers(STUDIES[name]))
    for seed, name, algorithm in tqdm(work, desc="offline", unit="training"):
        path = folder / f"{name}-{algorithm}-{seed}.json"
        records[name]["records"].append(kept(path, lambda name=name, algorithm=algorithm, seed=seed: one_training(
            STUDIES[name], algorithm, seed)))  # fmt: skip
    return records


def page(found: dict[str, Any], args: argparse.Namespace) -> str:
    """Return the figures as a page."""
    lines = [
        "# Learning from the protocol's logged decisions", "",
        f"`python -m benchmarks.safety.offline --seeds {' '.join(map(str, args.seeds))}`. 1,000 episodes of training patients a seed; test",
        "patients judge, exactly where courses are a table. Score: 0 the random policy, 1 the best known. Means over seeds, with their",
        "standard deviation. Research simulation, not medical advice.",
    ]  # fmt: skip
    for name, one in found.items():
        study, costs = STUDIES[name], list(next(iter(one["teachers"].values()))["costs"])
        lines += ["", f"## {study.env}: {study.told}", "", f"| policy | return | score | sd of score | {' | '.join(costs)} | CPU s |"]
        lines.append("|---" * (5 + len(costs)) + "|")
        for teacher, row in one["teachers"].items():
            told = " | ".join(f"{row['costs'][cost]:.2f}" for cost in costs)
            lines.append(f"| {teacher} | {row['return']:.3f} | {row['score']:.3f} | - | {told} | - |")
        for algorithm in study.algorithms:
            rows = [record for record in one["records"] if record["algorithm"] == algorithm]
            scores = np.array([row["score"] for row in rows])
            told = " | ".join(f"{np.mean([row['costs'][cost] for row in rows]):.2f}" for cost in costs)
            spread = f"{scores.std(ddof=1):.3f}" if len(rows) > 1 else "-"
            lines.append(
                f"| {algorithm} | {np.mean([row['return'] for row in rows]):.3f} | {scores.mean():.3f} | {spread} | {told} | "
                f"{np.mean([row['cpu_s'] for row in rows]):.0f} |"
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", nargs="+", choices=list(STUDIES), default=list(STUDIES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    found = measured(args)
    if set(args.studies) != set(STUDIES):
        return
    for name, text in (("offline.json", json.dumps(found, indent=1) + "\n"), ("offline.md", page(found, args))):
        write_whole(args.out / name, text)


if __name__ == "__main__":
    main()
