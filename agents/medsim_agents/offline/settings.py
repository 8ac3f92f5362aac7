"""The settings of each offline algorithm: this file needs no torch."""

from dataclasses import dataclass

__all__ = ["BCQ", "TD3BC", "BehaviourCloning", "ConservativeQ", "ImplicitQ", "OfflineSettings"]


@dataclass(frozen=True, kw_only=True)
class OfflineSettings:
    """What all have: Adam's learning rate, steps in a gradient, widths of the hidden layers."""

    learning_rate: float = 1e-3
    batch_size: int = 256
    net_arch: tuple[int, ...] = (64, 64)

    def __post_init__(self) -> None:
        object.__setattr__(self, "net_arch", tuple(self.net_arch))
        if not self.net_arch or min(self.net_arch) < 1 or self.batch_size < 1:
            raise ValueError(f"batch_size and every width must be 1 or more, not {self.batch_size} and {list(self.net_arch)}")


@dataclass(frozen=True, kw_only=True)
class OfValues(OfflineSettings):
    """What those have that learn values: the discount, and how far targets follow at each step."""

    gamma: float = 0.99
    tau: float = 0.005

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 <= self.gamma <= 1.0 or not 0.0 < self.tau <= 1.0:
            raise ValueError(f"gamma must be from 0 to 1 and tau above 0 and at most 1, not {self.gamma} and {self.tau}")


@dataclass(frozen=True, kw_only=True)
class BehaviourCloning(OfflineSettings):
    """Do what was done: the likeliest choice, or the mean dose."""


@dataclass(frozen=True, kw_only=True)
class ConservativeQ(OfValues):
    """CQL (Kumar et al., NeurIPS 2020): Q learning in which what was not done is held low; ``alpha``: how much so."""

    alpha: float = 1.0


@dataclass(frozen=True, kw_only=True)
class ImplicitQ(OfValues):
    """IQL (Kostrikov et al., ICLR 2022): values of the better actions among those done, without asking about others.

    Args:
        expectile: 0.5 is the mean of what was done, 1 the best; temperature: how much better actions count more in imitation.
    """

    expectile: float = 0.7
    temperature: float = 3.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 < self.expectile < 1.0:
            raise ValueError(f"expectile must be between 0 and 1, not {self.expectile}")


@dataclass(frozen=True, kw_only=True)
class TD3BC(OfValues):
    """TD3+BC (Fujimoto, Gu, NeurIPS 2021): TD3 whose actor stays near the doses given; ``alpha``: how much value counts against that."""

    alpha: float = 2.5
    policy_delay: int = 2
    target_policy_noise: float = 0.2
    target_noise_clip: float = 0.5


@dataclass(frozen=True, kw_only=True)
class BCQ(OfValues):
    """BCQ (Fujimoto et al. 2019): the best among what could have been done.

    Args:
        threshold: of choices: how probable beside the likeliest; perturbation: of doses: how far from what a generative model gives;
        candidates: doses drawn from it, when acting.
    """

    threshold: float = 0.3
    perturbation: float = 0.05
    candidates: int = 10
