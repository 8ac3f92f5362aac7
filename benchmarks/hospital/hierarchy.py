"""``python -m benchmarks.hospital.hierarchy``: a policy for each role of HospitalFlow-v0, each on its own clock.

Two questions, on the test episodes. First: four policies that learn in turns (``medsim train medsim/HospitalFlow-v0 --algo maskable-ppo
--set sharing=role``) beside one policy that all roles share (from flow.json, where ``benchmarks.hospital.flow`` has written it) and the
rules. Second: what the top of the hierarchy is worth by itself. Only the bed manager learns, every four hours, above units that follow
the rule ``priority``; against it the same rule with the arrangement of the start, and ``beds-follow``, the rule with a rule for beds.
Run folders resume. Writes hierarchy.json and HIERARCHY.md.
"""

import argparse
import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported by the processes that train

import numpy as np

from benchmarks.hospital.flow import compared
from benchmarks.speed.report import write_whole
from medsim.core.streams import Key
from medsim.hospital.evaluation import DEFAULT_SEED, HospitalResult, evaluate_hospital
from medsim.hospital.policy import HospitalPolicy, Mask, Vector
from medsim.hospital.task import HospitalTask
from medsim.policies import hospital_policies
from medsim.registry import hospital_card, make_task
from medsim_agents.construction import build_model, load_model, normalised
from medsim_agents.multi_agent import ModelActs, RoleVecEnv
from medsim_agents.multi_agent.decisions import TRAINING_SLOT
from medsim_agents.normalisation import read_scale, scale_of
from medsim_agents.policies import load
from medsim_agents.provenance import commit, hardware, versions
from medsim_agents.threads import single_threaded
from medsim_agents.training import plan_training, train

__all__ = ["Managed", "main"]

HERE = Path(__file__).parent
FLOW, ALGORITHM, MANAGER, RULE = "medsim/HospitalFlow-v0", "maskable-ppo", "bed_manager", "priority"
RULES = ("random", RULE, "beds-follow")
# chosen, one trial: rows fewer than in training by roles, since each has a rule in Python beside it; gamma looks some 13 hours ahead
MANAGING = {
    "steps": 60_000, "n_envs": 128, "n_steps": 32, "batch_size": 512, "n_epochs": 4, "learning_rate": 7e-4, "learning_rate_final": 0.0,
    "gamma": 0.7, "gae_lambda": 0.8, "ent_coef": 0.0, "net_arch": [128, 128],
}  # fmt: skip


class Managed:
    """A trained manager above units that follow a rule."""

    def __init__(self, name: str, part: ModelActs, rule: HospitalPolicy) -> None:
        self.name, self.part, self.rule = name, part, rule
        self.options = rule.options

    def begin(self, task: HospitalTask, key: Key) -> None:
        """An episode begins."""
        self.part.bind(task)
        self.rule.begin(task, key)
        self.number = np.array([task.agents.index(MANAGER)])

    def act(self, agent: str, seen: Vector, mask: Mask) -> int:
        """Return the model's action for the manager, the rule's for all others."""
        if agent != MANAGER:
            return self.rule.act(agent, seen, mask)
        return int(self.part.act(self.number, seen[None], mask[None])[0][0])


def trained_by_role(seed: int, steps: int | None, runs: str) -> str:
    """Train one policy a role with one seed, or go on with it; returns the run folder."""
    changes: dict[str, Any] = {} if steps is None else {"steps": steps}
    return str(train(plan_training(FLOW, ALGORITHM, seed=seed, sharing="role", **changes), Path(runs) / f"roles-seed{seed}"))


def trained_manager(seed: int, steps: int | None, runs: str) -> str:
    """Train a manager above the rule with one seed, unless that has been done; returns its folder."""
    settings = {**MANAGING, **({} if steps is None else {"steps": steps})}
    folder = Path(runs) / f"manager-seed{seed}"
    record = {"seed": seed, "settings": settings, "others": RULE}
    done = folder / "done.json"
    if done.is_file() and json.loads(done.read_text(encoding="utf-8"))["training"] == record:
        return str(folder)
    folder.mkdir(parents=True, exist_ok=True)
    done.unlink(missing_ok=True)
    began = time.monotonic()
    task, maker = make_task(FLOW), hospital_policies(FLOW)[RULE]
    others = {role: maker for role in task.actions if role != MANAGER}
    with single_threaded():
        env = normalised(RoleVecEnv(task, settings["n_envs"], MANAGER, others, seed=seed, first_slot=TRAINING_SLOT), settings)
        model = build_model(ALGORITHM, env, seed, settings).learn(settings["steps"])
    model.save(folder / "model.zip")
    scale_of(model.get_vec_normalize_env()).write(folder / "normalisation.json")
    write_whole(folder, {"done.json": json.dumps({"training": record, "wall_s": time.monotonic() - began}).encode()})
    return str(folder)


def manager_of(folder: str) -> Managed:
    """Return the policy of a folder of ``trained_manager``."""
    model, scale = load_model(ALGORITHM, Path(folder) / "model.zip"), read_scale(Path(folder) / "normalisation.json")
    return Managed("manager learns", ModelActs(model, scale, role=MANAGER), hospital_policies(FLOW)[RULE]())


def evaluated(name: str, episodes: int) -> HospitalResult:
    """Evaluate a reference policy by name, or a folder."""
    references = hospital_policies(FLOW)
    policy: Any = references[name]() if name in references else manager_of(name) if Path(name).name.startswith("manager") else load(name)
    return evaluate_hospital(FLOW, policy, episodes=episodes)


def row(name: str, results: list[HospitalResult], against: dict[str, HospitalResult]) -> dict[str, Any]:
    """Return a policy's row: its return, and how much more it is than those of others, with the interval."""
    returns = np.stack([one.returns for one in results])
    over = {other: compared(returns, result.returns) for other, result in against.items()}
    return {"policy": name, "return": float(returns.mean()), "return_by_seed": returns.mean(axis=1).tolist(), "over": over}


def shared_row(out: Path, episodes: int) -> list[dict[str, Any]]:
    """Return the row of the policy that all roles share, if flow.json is there and of the same episodes."""
    file = out / "flow.json"
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"episodes": None}
    if found["episodes"] != episodes:
        return []
    its = next(one for one in found["rows"] if one["policy"].strip("*") == ALGORITHM)
    over = {RULE: (its["over_protocol"], *its["over_protocol_95"])} if hospital_card(FLOW).protocol_policy == RULE else {}
    name = f"{ALGORITHM}, one policy shared, {found['steps']:,} decisions (FLOW.md)"
    return [{"policy": name, "return": its["return"], "return_by_seed": its["return_by_seed"], "over": over}]


def page(tables: dict[str, list[dict[str, Any]]], about: dict[str, Any]) -> str:
    """Return the results as a page."""
    lines = [
        "# Learning by roles on medsim/HospitalFlow-v0",
        "",
        f"`{about['command']}`, {about['date']}, commit {about['commit']}, {about['machine']['cpu']}, one core a run.",
        f"{about['episodes']} test episodes of a week (seed {DEFAULT_SEED}), the same for all; {about['seeds']} seeds. Differences are",
        "paired by episode, with 95 % bootstrap intervals over episodes and seeds. Simulation for research, not medical advice.",
    ]
    for title, rows in tables.items():
        lines += ["", f"## {title}", "", f"| policy | return | over {RULE} | over beds-follow |", "|---|---|---|---|"]
        for one in sorted(rows, key=lambda each: -each["return"]):
            by_seed = one["return_by_seed"]
            spread = f" ({min(by_seed):.0f} to {max(by_seed):.0f} over seeds)" if len(by_seed) > 1 else ""
            cells = ["{:+.0f} ({:+.0f} to {:+.0f})".format(*one["over"][other]) if other in one["over"] else "" for other in RULES[1:]]
            lines.append(f"| {one['policy']} | {one['return']:.0f}{spread} | {' | '.join(cells)} |")
        lines += ["", about["notes"][title]]
    return "\n".join(lines) + "\n"


def minutes_of(folders: list[str]) -> float:
    """Return how long trainings took on average, in minutes on the clock."""
    seconds = []
    for folder in map(Path, folders):
        done = folder / "done.json"
        file = done if done.is_file() else folder / "run.json"
        record = json.loads(file.read_text(encoding="utf-8"))
        seconds.append(record["wall_s"] if done.is_file() else record["time"]["wall_s"])
    return float(np.mean(seconds)) / 60.0


def main(arguments: list[str] | None = None) -> int:
    """Train, evaluate, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hospital.hierarchy", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, help="decisions of each training by roles (default: the tuned number)")
    parser.add_argument("--manager-steps", type=int, help=f"the manager's decisions where it learns alone (default: {MANAGING['steps']})")
    parser.add_argument("--episodes", type=int, default=hospital_card(FLOW).episodes)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--runs", default="runs/hospital-hierarchy", help="folder of the run folders")
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args(arguments)
    seeds = range(options.seeds)
    with ProcessPoolExecutor(options.processes) as pool:
        roles = [pool.submit(trained_by_role, seed, options.steps, options.runs) for seed in seeds]
        managers = [pool.submit(trained_manager, seed, options.manager_steps, options.runs) for seed in seeds]
        folders, above = [one.result() for one in roles], [one.result() for one in managers]
        everyone = [*RULES, *folders, *above]
        results = dict(zip(everyone, pool.map(evaluated, everyone, [options.episodes] * len(everyone)), strict=True))
    against = {name: results[name] for name in RULES[1:]}
    rules = {name: row(name, [results[name]], {other: one for other, one in against.items() if other != name}) for name in RULES}
    steps = json.loads((Path(folders[0]) / "run.json").read_text(encoding="utf-8"))["steps"]
    by_role = row(f"**{ALGORITHM}, a policy a role**", [results[folder] for folder in folders], against)
    manages = row("**the manager learns, units by the rule**", [results[folder] for folder in above], against)
    tables = {
        "A policy for each role": [*rules.values(), by_role, *shared_row(options.out, options.episodes)],
        "Only the manager learns": [rules[RULE], rules["beds-follow"], manages],
    }
    alone = options.manager_steps or MANAGING["steps"]
    notes = {
        "A policy for each role": f"{steps:,} decisions of the learners, {minutes_of(folders):.1f} minutes a run.",
        "Only the manager learns": f"{alone:,} decisions of the manager, {minutes_of(above):.1f} minutes a run. "
        f"`{RULE}` keeps the arrangement of the start.",
    }
    about = {
        "command": "python -m benchmarks.hospital.hierarchy", "date": datetime.now(UTC).strftime("%Y-%m-%d"), "commit": commit(),
        "machine": dict(hardware(cores=1)), "versions": dict(versions()), "episodes": options.episodes, "seeds": options.seeds,
        "steps": steps, "managing": MANAGING, "notes": notes,
    }  # fmt: skip
    text = page(tables, about)
    print(text)
    plain = json.dumps({**about, "tables": tables}, indent=1) + "\n"
    write_whole(options.out, {"HIERARCHY.md": text.encode(), "hierarchy.json": plain.encode()})
    return 0


if __name__ == "__main__":
    sys.exit(main())
