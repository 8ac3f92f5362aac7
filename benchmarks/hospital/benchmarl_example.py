"""Independent or multi-agent PPO of BenchMARL (TorchRL) in a hospital: an outside library on the PettingZoo interface, masks and all.

BenchMARL wants an environment of its own; torch's CPU build comes from this project's constraints:

    python3 -m venv benchmarl_venv
    benchmarl_venv/bin/pip install -c constraints.txt -e . benchmarl
    benchmarl_venv/bin/python benchmarks/hospital/benchmarl_example.py medsim/HospitalFlow-v0 --algorithm mappo --iterations 5

It prints the mean return of the team over evaluation episodes after every iteration. Agents called name_0, name_1, ... share a policy,
others have one each. A few iterations show that it runs, not that it learns: a step of the environment is one agent's decision, and all
others must do nothing, so most of what these algorithms collect is idle. ``medsim train`` gives every step to the agent that is asked.
Research simulation, not medical advice.
"""

import argparse
import copy
import json
from pathlib import Path
from typing import Any

import pettingzoo
import torch
from benchmarl.algorithms import IppoConfig, MappoConfig
from benchmarl.environments import Task
from benchmarl.environments.pettingzoo.common import PettingZooClass
from benchmarl.experiment import Callback, Experiment, ExperimentConfig
from benchmarl.models.mlp import MlpConfig
from pettingzoo.utils.wrappers import BaseParallelWrapper
from torchrl.envs.libs.pettingzoo import PettingZooWrapper

import medsim  # registers the environments

ALGORITHMS = {"mappo": MappoConfig, "ippo": IppoConfig}
MOST_STEPS = 100_000  # chosen: more decisions than any episode has; episodes end by themselves


class MasksOnly(BaseParallelWrapper):
    """Of what a hospital tells beside observations, keeps the masks: TorchRL makes tensors of the rest, and names are none."""

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        observations, infos = self.env.reset(seed=seed, options=options)
        return observations, masks_of(infos)

    def step(self, actions: dict[str, Any]) -> Any:
        whole = {agent: int(action) for agent, action in actions.items()}
        observations, rewards, terminations, truncations, infos = self.env.step(whole)
        return observations, rewards, terminations, truncations, masks_of(infos)


def masks_of(infos: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {agent: {"action_mask": info["action_mask"].astype(bool)} for agent, info in infos.items()}


class HospitalClass(PettingZooClass):
    """How BenchMARL makes a hospital."""

    def get_env_fun(self, num_envs: int, continuous_actions: bool, seed: int | None, device: Any) -> Any:
        config = copy.deepcopy(self.config)

        def make() -> Any:
            env = MasksOnly(pettingzoo.make("parallel", config["id"], **config["options"]))
            return PettingZooWrapper(env, categorical_actions=True, device=device, seed=seed)

        return make

    def supports_continuous_actions(self) -> bool:
        return False

    def supports_discrete_actions(self) -> bool:
        return True

    def has_state(self) -> bool:
        return False

    def has_render(self, env: Any) -> bool:
        return False

    def max_steps(self, env: Any) -> int:
        return int(self.config["most_steps"])

    @staticmethod
    def env_name() -> str:
        return "medsim"


class HospitalTask(Task):
    """The tasks there are: the environment's id is in the configuration."""

    HOSPITAL = None

    @staticmethod
    def associated_class() -> Any:
        return HospitalClass


class Teller(Callback):
    """Prints the team's mean return of the evaluation episodes."""

    def on_evaluation_end(self, rollouts: list[Any]) -> None:
        returns = [team_return(rollout, self.experiment.group_map) for rollout in rollouts]
        steps = sum(rollout.batch_size[0] for rollout in rollouts) / len(rollouts)
        mean = sum(returns) / len(returns)
        print(f"\niteration {self.experiment.n_iters_performed}: return {mean:.2f} over {len(returns)} episodes of {steps:.0f} decisions")


def team_return(rollout: Any, groups: dict[str, list[str]]) -> float:
    """Return the sum of the team's rewards, which every agent gets, over an episode."""
    group = next(iter(groups))
    return float(rollout.get(("next", group, "reward"))[:, 0].sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("env", nargs="?", default="medsim/HospitalFlow-v0")
    parser.add_argument("--algorithm", choices=ALGORITHMS, default="mappo")
    parser.add_argument("--iterations", type=int, default=5)
    parser.add_argument("--frames", type=int, default=2000, help="decisions an iteration (default %(default)s)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="an option of the environment, its value as JSON")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarl"), help="folder of BenchMARL's logs (default %(default)s)")
    args = parser.parse_args()
    options = {name: json.loads(value) for name, _, value in (pair.partition("=") for pair in args.set)}
    torch.set_num_threads(1)
    settings = ExperimentConfig.get_from_yaml()
    settings.max_n_iters, settings.max_n_frames = args.iterations, None
    settings.on_policy_collected_frames_per_batch, settings.on_policy_n_envs_per_worker = args.frames, 2
    settings.on_policy_minibatch_size, settings.on_policy_n_minibatch_iters = 400, 4
    settings.evaluation, settings.render, settings.evaluation_interval, settings.evaluation_episodes = True, False, args.frames, 2
    settings.loggers, settings.checkpoint_interval, settings.lr = [], 0, 3e-4
    settings.create_json, settings.save_folder = True, str(args.out)  # without some log BenchMARL does not evaluate
    args.out.mkdir(parents=True, exist_ok=True)
    task = HospitalTask.HOSPITAL.get_task({"id": args.env, "options": options, "most_steps": MOST_STEPS})
    print(f"{args.algorithm} of BenchMARL on {args.env}, medsim {medsim.__version__}; research simulation, not medical advice")
    Experiment(
        task=task,
        algorithm_config=ALGORITHMS[args.algorithm].get_from_yaml(),
        model_config=MlpConfig.get_from_yaml(),
        critic_model_config=MlpConfig.get_from_yaml(),
        seed=args.seed,
        config=settings,
        callbacks=[Teller()],
    ).run()


if __name__ == "__main__":
    main()
