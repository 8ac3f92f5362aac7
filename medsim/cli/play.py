"""``medsim play``: a person steps a patient in the terminal."""

import argparse
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from medsim.cli.verbs import Verb, parse_settings
from medsim.core.environment import PatientEnv
from medsim.registry import is_hospital

__all__ = ["VERB"]

HELP = "an action (numbers, space between them), Enter to repeat the last one, `x 12` to repeat it 12 times, q to stop"


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.epilog = "example:\n  medsim play medsim/Glucose-v0 --set step_minutes=5"
    parser.add_argument("env", help="an environment's id")
    parser.add_argument("--seed", type=int, default=0, help="of the patient (default 0)")
    parser.add_argument("--patient", help="a named patient")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="an option of the environment; can be repeated")


def run(args: argparse.Namespace) -> int:
    """Play one episode.

    Raises:
        ValueError: the environment is a hospital.
    """
    if is_hospital(args.env):
        raise ValueError(f"{args.env} is a hospital, and this verb steps patients; medsim render shows its bed board")
    env: Any = gym.make(args.env, **parse_settings(args.set)).unwrapped
    observation, _ = env.reset(seed=args.seed, options={"patient": args.patient} if args.patient else None)
    print(f"{args.env}. Research simulation, not medical advice.\naction: {env.action_space}  {env.task.action_meaning}\n{HELP}\n")
    action: Any = None
    total = 0.0
    show(env, observation)
    while True:
        try:
            text = input("> ").strip()
        except EOFError:
            text = "q"
        if text in ("q", "quit"):
            print(f"stopped; return so far {total:.2f}")
            return 0
        try:
            wanted, times = understood(text, action, env.action_space)
            for _ in range(times):
                observation, reward, terminated, truncated, info = env.step(wanted)
                action = wanted
                total += reward
                if terminated or truncated:
                    print(f"{info['outcome']} after {info['outcome_time_h']:.1f} h; return {total:.2f}")
                    return 0
        except ValueError as error:
            print(error)
            continue
        show(env, observation)
        print(f"  reward {reward:.3f}, cost {info['cost']:.2f}, return {total:.2f}")


def understood(text: str, last: Any, space: spaces.Space[Any]) -> tuple[Any, int]:
    """Return the action that was typed and how often to give it.

    Raises:
        ValueError: the text is no action.
    """
    words = text.split()
    times = 1
    if words and words[0] == "x":
        if len(words) != 2 or not words[1].isdigit():
            raise ValueError(f"{text!r} is not understood: type {HELP}")
        times, words = int(words[1]), []
    if not words:
        if last is None:
            raise ValueError(f"there is no action to repeat yet: type {HELP}")
        return last, times
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        raise ValueError(f"{text!r} is not understood: type {HELP}") from None
    if isinstance(space, spaces.Discrete):
        if len(numbers) != 1 or not numbers[0].is_integer():
            raise ValueError(f"{text!r} is outside {space}: it takes one whole number")
        return int(numbers[0]), times
    return numbers, times


def show(env: PatientEnv, observation: Any) -> None:
    """Print the observation by name; of a chart, what is new."""
    names = env.task.view.names
    observation = env.batch.obs[0] if env.task.chart is not None else observation
    cells = [f"{name} {value:.4g}" for name, value in zip(names, np.atleast_1d(observation), strict=True) if "_min_ago_" not in name]
    for start in range(0, len(cells), 4):
        print("  " + "   ".join(cells[start : start + 4]))


VERB = Verb("play", "step a patient yourself, in the terminal", configure, run)
