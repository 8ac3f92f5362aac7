"""The algorithms that can be trained: where each lives, what it can act with, and which settings it takes."""

import importlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gymnasium import spaces

from medsim.core.model import field_names
from medsim.core.tabular import TabularTask
from medsim.core.task import Task
from medsim.hospital.shells import FORBIDDEN
from medsim.hospital.task import HospitalTask
from medsim.registry import is_hospital, make_task

__all__ = ["ALGORITHMS", "SHARING", "Algorithm", "algorithm", "cost_names_of", "suited_options"]

Kind = type | tuple[type, ...]
SHARING = ("shared", "role")  # in hospitals: one policy for all roles, or one for each

NUMBER: Kind = (int, float)
COURSE: Kind = (int, float, str)  # a number, or a schedule as text: see medsim_agents.schedules
COMMON: dict[str, Kind] = {"learning_rate": COURSE, "learning_rate_final": NUMBER, "gamma": NUMBER, "net_arch": list, "activation": str}
ON_POLICY: dict[str, Kind] = {
    **COMMON, "n_steps": int, "gae_lambda": NUMBER, "ent_coef": COURSE, "vf_coef": NUMBER, "max_grad_norm": NUMBER,
    "normalize_advantage": bool, "log_std_init": NUMBER,
}  # fmt: skip
PROXIMAL: dict[str, Kind] = {**ON_POLICY, "batch_size": int, "n_epochs": int, "clip_range": COURSE, "target_kl": NUMBER}
OFF_POLICY: dict[str, Kind] = {
    **COMMON, "buffer_size": int, "learning_starts": int, "batch_size": int, "tau": NUMBER, "train_freq": int, "gradient_steps": int,
    "n_steps": int,
}  # fmt: skip
VALUES: dict[str, Kind] = {
    **OFF_POLICY, "target_update_interval": int, "exploration_fraction": NUMBER, "exploration_initial_eps": NUMBER,
    "exploration_final_eps": NUMBER, "exploration_rate": COURSE, "max_grad_norm": NUMBER,
}  # fmt: skip
OFFLINE: dict[str, Kind] = {"learning_rate": NUMBER, "batch_size": int, "net_arch": list}
OFFLINE_VALUES: dict[str, Kind] = {**OFFLINE, "gamma": NUMBER, "tau": NUMBER}
LOGGED: dict[str, Kind] = {"dataset": str, "episodes": int, "epsilon": NUMBER, "spread": NUMBER}  # what is learnt from: offline/data.py
ENTROPY: dict[str, Kind] = {"ent_coef": (str, int, float), "target_entropy": (str, int, float), "target_update_interval": int}
LIMITED: dict[str, Kind] = {**PROXIMAL, "cost_limits": dict}
MULTIPLIERS: dict[str, Kind] = {
    **LIMITED, "multiplier_rate": NUMBER, "multiplier_rate_final": NUMBER, "multiplier_start": NUMBER, "multiplier_most": NUMBER,
    "caution": NUMBER, "proportional": NUMBER, "derivative": NUMBER, "cost_learning_rate": NUMBER, "cost_net": list,
    "cost_gae_lambda": NUMBER,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Algorithm:
    """An algorithm: ``settings`` are the ones it takes, with their types; ``defaults`` are its own where a file of settings is silent.

    ``offline``: it learns from logged episodes; ``where`` then names the class of its settings.
    """

    name: str
    where: str  # "module:class", imported when it is used
    settings: Mapping[str, Kind]
    discrete: bool
    continuous: bool
    on_policy: bool
    adam_epsilon: float  # the class's own, which must be repeated where Adam's other settings are changed
    policy: str = "MlpPolicy"
    memory: bool = False
    masks: bool = False
    offline: bool = False
    constraints: bool = False  # keeps costs below limits, its setting cost_limits
    budgets: bool = False  # and sees what is left of them, ``SauteVecEnv``
    hospitals: bool = True
    tabular: bool = False  # learns a table, where an environment's course is one
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def model_file(self) -> str:
        """What a run folder calls the trained model."""
        return "model.safetensors" if self.offline else "model.zip"

    @property
    def default_options(self) -> dict[str, Any]:
        """Options of the environment without which it cannot act."""
        if self.tabular:
            return {"observation": "index"}
        return {} if self.discrete else {"action": "continuous"}

    @property
    def learns_by_role(self) -> bool:
        """Whether it can train a policy for each role of a hospital."""
        return self.on_policy and not self.memory and not self.constraints

    def load(self) -> Any:
        """Return the class.

        Raises:
            ImportError: the package that holds it is not installed; the message says what to install.
        """
        module, _, name = self.where.partition(":")
        try:
            return getattr(importlib.import_module(module), name)
        except ImportError as error:
            raise ImportError(f"{self.name} needs {module.partition('.')[0]}: pip install 'medsim[agents]'") from error

    def policy_for(self, space: spaces.Space[Any]) -> str:
        """Return the name of the policy's class for observations of a space: one that reads dicts of arrays, where they are such."""
        return self.policy.replace("Mlp", "MultiInput") if isinstance(space, spaces.Dict) else self.policy

    def learning_arguments(self, env: Any) -> dict[str, Any]:
        """Return what ``learn`` must be told: whether there are masks, where the algorithm can use them."""
        return {"use_masking": env.has_attr("action_masks")} if self.masks else {}

    def refuse_unless_suited_to_hospital(self, task: HospitalTask, sharing: str) -> None:
        """Raise ValueError, by name, if the algorithm cannot act in a hospital, or not with a policy for each role."""
        if self.offline:
            raise ValueError(f"{self.name} learns from logged episodes of a treatment, and {task.id} is a hospital")
        if not self.discrete or not self.hospitals:
            others = ", ".join(one.name for one in ALGORITHMS if one.discrete and one.hospitals)
            what = "with discrete actions" if self.hospitals else "or any hospital"
            raise ValueError(f"{self.name} cannot act in {task.id} {what}; those that can are {others}")
        if sharing not in SHARING:
            raise ValueError(f"sharing must be one of {', '.join(SHARING)}, not {sharing!r}")
        if sharing == "role" and not self.learns_by_role:
            others = ", ".join(one.name for one in ALGORITHMS if one.discrete and one.learns_by_role)
            raise ValueError(f"{self.name} cannot train a policy for each role (sharing=role); those that can are {others}")
        if sharing == "role" and len(task.actions) == 1:
            raise ValueError(f"sharing=role is for several roles, and {task.id} has one here ({next(iter(task.actions))}): leave it out")

    def refuse_unless_table(self, task: Task) -> None:
        """Raise ValueError if it learns a table, and the course of a task is none."""
        if self.tabular and not isinstance(task, TabularTask):
            raise ValueError(f"{self.name} learns a table, and the course of {task.id} is none: choose another algorithm")

    def refuse_unless_suited(self, task: Task) -> None:
        """Raise ValueError, by name, if the algorithm cannot act in a task."""
        space = task.action_space
        kind, works = ("discrete", self.discrete) if isinstance(space, spaces.Discrete) else ("continuous", self.continuous)
        if not works:
            others = ", ".join(one.name for one in ALGORITHMS if (one.discrete if kind == "discrete" else one.continuous))
            raise ValueError(f"{self.name} cannot act in {task.id} with {kind} actions ({space}); those that can are {others}")
        if isinstance(task.observation_space(), spaces.Dict) and not self.on_policy and not self.tabular:
            others = ", ".join(one.name for one in ALGORITHMS if one.on_policy)
            raise ValueError(
                f"{self.name} keeps the observations of many steps, and charts are too large for that: "
                f"choose observation='vector', or one of {others}"
            )

    def refuse_unless_limits_suit(self, task: Task | HospitalTask, limits: Mapping[str, Any] | None) -> None:
        """Raise ValueError, by name, if it keeps limits and they are missing, of no cost of a task, or no numbers from 0."""
        if not self.constraints:
            return
        names = cost_names_of(task)
        there_are = f"costs of {task.id} are {', '.join(names)}" if names else f"{task.id} has no costs"
        if not limits:
            raise ValueError(f'{self.name} needs cost_limits, such as {{"{names[0] if names else "cost"}": 1.0}}; {there_are}')
        for name, limit in limits.items():
            if name not in names:
                raise ValueError(f"cost_limits: there is no cost {name!r}; {there_are}")
            if isinstance(limit, bool) or not isinstance(limit, int | float) or not 0.0 <= limit < math.inf:
                raise ValueError(f"cost_limits: {name} must be a number, 0 or more, not {limit!r}")


ONLINE = (
    Algorithm(
        name="ppo", where="stable_baselines3:PPO", settings=PROXIMAL, discrete=True, continuous=True, on_policy=True, adam_epsilon=1e-5
    ),
    Algorithm(
        name="a2c",
        where="stable_baselines3:A2C",
        settings={**ON_POLICY, "use_rms_prop": bool},
        discrete=True,
        continuous=True,
        on_policy=True,
        adam_epsilon=1e-5,
    ),
    Algorithm(
        name="dqn", where="stable_baselines3:DQN", settings=VALUES, discrete=True, continuous=False, on_policy=False, adam_epsilon=1e-8
    ),
    Algorithm(
        name="sac",
        where="stable_baselines3:SAC",
        settings={**OFF_POLICY, **ENTROPY},
        discrete=False,
        continuous=True,
        on_policy=False,
        adam_epsilon=1e-8,
    ),
    Algorithm(
        name="td3",
        where="stable_baselines3:TD3",
        settings={**OFF_POLICY, "policy_delay": int, "target_policy_noise": NUMBER, "target_noise_clip": NUMBER, "action_noise_sd": NUMBER},
        discrete=False,
        continuous=True,
        on_policy=False,
        adam_epsilon=1e-8,
    ),
    Algorithm(
        name="qrdqn",
        where="sb3_contrib:QRDQN",
        settings={**VALUES, "n_quantiles": int},
        discrete=True,
        continuous=False,
        on_policy=False,
        adam_epsilon=0.01 / 32,
    ),
    Algorithm(
        name="recurrent-ppo",
        where="sb3_contrib:RecurrentPPO",
        settings={**PROXIMAL, "lstm_hidden_size": int},
        discrete=True,
        continuous=True,
        on_policy=True,
        adam_epsilon=1e-5,
        policy="MlpLstmPolicy",
        memory=True,
    ),
    Algorithm(
        name="maskable-ppo",
        where="sb3_contrib:MaskablePPO",
        settings=PROXIMAL,
        discrete=True,
        continuous=False,
        on_policy=True,
        adam_epsilon=1e-5,
        masks=True,
    ),
    Algorithm(
        name="tqc",
        where="sb3_contrib:TQC",
        settings={**OFF_POLICY, **ENTROPY, "n_quantiles": int, "top_quantiles_to_drop_per_net": int},
        discrete=False,
        continuous=True,
        on_policy=False,
        adam_epsilon=1e-8,
    ),
    Algorithm(
        name="ppo-lagrangian",
        where="medsim_agents.constrained:PPOLagrangian",
        settings=MULTIPLIERS,
        discrete=True,
        continuous=True,
        on_policy=True,
        adam_epsilon=1e-5,
        constraints=True,
    ),
    Algorithm(
        name="ppo-pid-lagrangian",
        where="medsim_agents.constrained:PPOLagrangian",
        settings=MULTIPLIERS,
        discrete=True,
        continuous=True,
        on_policy=True,
        adam_epsilon=1e-5,
        constraints=True,
        defaults={"proportional": 1.0, "derivative": 1.0},
    ),
    Algorithm(
        name="ppo-saute",
        where="medsim_agents.saute:PPOSaute",
        settings={**LIMITED, "unsafe_reward": NUMBER},
        discrete=True,
        continuous=True,
        on_policy=True,
        adam_epsilon=1e-5,
        constraints=True,
        budgets=True,
        hospitals=False,
    ),
    Algorithm(
        name="q-learning",
        where="medsim.evaluation.q_learning:QLearning",
        settings={"decay": NUMBER, "explore_first": NUMBER, "explore_last": NUMBER, "explore_share": NUMBER, "by_step": bool},
        discrete=True,
        continuous=False,
        on_policy=False,
        adam_epsilon=0.0,
        hospitals=False,
        tabular=True,
    ),
)


def of_logged_data(name: str, where: str, settings: Mapping[str, Kind], *, discrete: bool = True) -> Algorithm:
    """Return an offline algorithm."""
    return Algorithm(
        name=name, where=f"medsim_agents.offline.settings:{where}", settings={**settings, **LOGGED}, discrete=discrete,
        continuous=True, on_policy=False, adam_epsilon=1e-8, offline=True, hospitals=False,
    )  # fmt: skip


ALGORITHMS = (
    *ONLINE,
    of_logged_data("bc", "BehaviourCloning", OFFLINE),
    of_logged_data("cql", "ConservativeQ", {**OFFLINE_VALUES, "alpha": NUMBER}),
    of_logged_data("iql", "ImplicitQ", {**OFFLINE_VALUES, "expectile": NUMBER, "temperature": NUMBER}),
    of_logged_data("bcq", "BCQ", {**OFFLINE_VALUES, "threshold": NUMBER, "perturbation": NUMBER, "candidates": int}),
    of_logged_data(
        "td3-bc",
        "TD3BC",
        {**OFFLINE_VALUES, "alpha": NUMBER, "policy_delay": int, "target_policy_noise": NUMBER, "target_noise_clip": NUMBER},
        discrete=False,
    ),
)


def algorithm(name: str) -> Algorithm:
    """Return an algorithm by name.

    Raises:
        ValueError: there is none of that name.
    """
    for one in ALGORITHMS:
        if one.name == name:
            return one
    raise ValueError(f"no algorithm is called {name!r}; there are {', '.join(one.name for one in ALGORITHMS)}")


def cost_names_of(task: Task | HospitalTask) -> tuple[str, ...]:
    """Return the names of the costs that learning on a task is told."""
    if isinstance(task, HospitalTask):
        return (*task.cost_names, FORBIDDEN)
    costs: Any = task.model.costs
    return tuple(costs) if isinstance(task, TabularTask) else field_names(costs)


def suited_options(name: str, env_id: str, options: Mapping[str, Any] | None = None, sharing: str = "shared") -> dict[str, Any]:
    """Return the environment options that an algorithm acts under: those given, and what it needs where that is left open.

    Args:
        sharing: in hospitals, "shared" or "role".

    Raises:
        ValueError: no such algorithm or environment, an option is not allowed, or the two do not go together.
    """
    one, given = algorithm(name), dict(options or {})
    task = make_task(env_id, **given)
    if is_hospital(env_id):
        one.refuse_unless_suited_to_hospital(task, sharing)
        return given
    one.refuse_unless_table(task)
    needed = {option: value for option, value in one.default_options.items() if option not in given}
    if needed and isinstance(task.action_space, spaces.Discrete) and all(hasattr(task.config, option) for option in needed):
        given |= needed
        task = make_task(env_id, **given)
    one.refuse_unless_suited(task)
    return given
