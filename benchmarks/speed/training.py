"""Stable-Baselines3's PPO on our ``VecEnv`` and on its own ``DummyVecEnv``, and where its time goes."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gymnasium as gym

from benchmarks.speed.batches import GLUCOSE, SEED
from benchmarks.speed.measures import Found, Plan
from benchmarks.speed.timing import Work, interleave, quotients

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecEnv

__all__ = ["measure", "measure_share"]

ROLLOUT_STEPS = 32
EPOCHS = 4
MINIBATCH = 2048


class Learner:
    """PPO that collects and trains when told to."""

    def __init__(self, env: "VecEnv") -> None:
        import torch
        from stable_baselines3 import PPO

        torch.set_num_threads(1)
        self.env = env
        size = min(MINIBATCH, ROLLOUT_STEPS * env.num_envs)
        self.ppo = PPO("MlpPolicy", env, n_steps=ROLLOUT_STEPS, batch_size=size, n_epochs=EPOCHS, seed=SEED, device="cpu")
        _, self.callback = self.ppo._setup_learn(total_timesteps=10**12)

    def collect(self) -> None:
        """Fill the rollout buffer."""
        assert self.ppo.env is not None
        self.ppo.collect_rollouts(self.ppo.env, self.callback, self.ppo.rollout_buffer, ROLLOUT_STEPS)

    def work(self, times: int, part: Callable[[], None]) -> Work:
        """Return the work of doing a part of PPO some times."""

        def run() -> None:
            for _ in range(times):
                part()

        return Work(units=times * ROLLOUT_STEPS * self.env.num_envs, run=run)

    def iterate(self) -> None:
        """Collect, then train."""
        self.collect()
        self.ppo.train()


def measure(plan: Plan) -> Found:
    """Time collection alone and whole iterations of PPO, with our environment and with as many single ones."""
    from stable_baselines3.common.vec_env import DummyVecEnv

    from medsim_agents import make_vec_env

    n, times = plan.scaled(256, 16), plan.scaled(3, 1)
    ours = Learner(make_vec_env(GLUCOSE, n, seed=SEED))
    theirs = Learner(DummyVecEnv([lambda: gym.make(GLUCOSE)] * n))
    works = {
        "collection, our VecEnv": ours.work(times, ours.collect),
        "collection, DummyVecEnv": theirs.work(times, theirs.collect),
        "training, our VecEnv": ours.work(times, ours.iterate),
        "training, DummyVecEnv": theirs.work(times, theirs.iterate),
    }
    timings = interleave(works, plan.repeats, "PPO")
    dummy, own = "DummyVecEnv", "our VecEnv"
    values = {part: quotients(timings[f"{part}, {dummy}"].cpu, timings[f"{part}, {own}"].cpu) for part in ("collection", "training")}
    return Found(values=values, timings=timings)


def measure_share(plan: Plan) -> Found:
    """Time whole iterations of PPO, and the calls of our environment within them."""
    from medsim_agents import make_vec_env

    env = make_vec_env(GLUCOSE, plan.scaled(1024, 16), seed=SEED)
    learner = Learner(env)
    spent = timed_calls(env)
    shares: list[float] = []

    def run() -> tuple[float, float]:
        spent.clear()
        cpu, wall = time.process_time(), time.perf_counter()
        learner.iterate()
        whole = time.process_time() - cpu
        shares.append(100.0 * sum(spent) / whole)
        return whole, time.perf_counter() - wall

    works = {"PPO with 1,024": Work(units=ROLLOUT_STEPS * env.num_envs, run=run)}
    timings = interleave(works, plan.repeats, "share of the environment")
    return Found(values={"environment_share": shares[1:]}, timings=timings)


def timed_calls(env: Any) -> list[float]:
    """Make an environment's ``step`` add the CPU time of each call to the list that is returned."""
    spent: list[float] = []
    step = env.step

    def timed(actions: Any) -> Any:
        start = time.process_time()
        result = step(actions)
        spent.append(time.process_time() - start)
        return result

    env.step = timed
    return spent
