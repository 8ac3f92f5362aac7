"""One table of every environment: its id, where it lives, and the scores between which a policy is placed."""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import gymnasium as gym

__all__ = [
    "ENVIRONMENTS", "HOSPITALS", "EnvironmentCard", "HospitalCard", "Scores", "card", "card_of", "hospital_card", "is_hospital",
    "make_task", "register_all",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Mean return on the fixed test patients of the floor, the protocol and the ceiling, and the command that measured them."""

    floor: float
    protocol: float
    ceiling: float
    command: str

    def normalised(self, mean_return: float) -> float:
        """Return 0 for the floor (the random policy) and 1 for the ceiling."""
        return (mean_return - self.floor) / (self.ceiling - self.floor)


@dataclass(frozen=True, kw_only=True)
class EnvironmentCard:
    """What is known of an environment without making it."""

    id: str
    question: str
    entry_point: str
    vector_entry_point: str
    task: str  # "module:function" that returns the task for options
    policies: str  # module of its reference policies
    floor_policy: str
    protocol_policy: str
    ceiling_policy: str
    scores: Scores
    evaluation: Mapping[str, Any] = field(default_factory=dict)  # options under which policies are evaluated
    patients: int = 100  # on how many of the fixed test patients
    needs: str = ""  # what must be importable; extra: the extra of medsim that installs it
    extra: str = ""

    @property
    def available(self) -> bool:
        """Whether what the environment needs is installed."""
        return not self.needs or importlib.util.find_spec(self.needs) is not None


@dataclass(frozen=True, kw_only=True)
class HospitalCard:
    """What is known of a hospital's environment without making it."""

    id: str
    question: str
    entry_point: str
    several_agents: bool  # a PettingZoo parallel environment; otherwise one of Gymnasium
    task: str  # "module:function" that returns the task for options
    policies: str  # module of its reference policies
    floor_policy: str
    protocol_policy: str
    ceiling_policy: str
    scores: Scores
    evaluation: Mapping[str, Any] = field(default_factory=dict)  # options under which policies are evaluated
    episodes: int = 20  # on how many of the fixed test episodes


ENVIRONMENTS = (
    EnvironmentCard(
        id="medsim/Sepsis-v0",
        question="fluids and norepinephrine in septic shock, every hour for 72 h",
        entry_point="medsim.treatments.sepsis:SepsisEnv",
        vector_entry_point="medsim.treatments.sepsis:SepsisVectorEnv",
        task="medsim.treatments.sepsis:sepsis_task",
        policies="medsim.policies.sepsis",
        floor_policy="random",
        protocol_policy="surviving-sepsis",
        ceiling_policy="adaptive",
        scores=Scores(floor=-0.1596, protocol=0.4344, ceiling=0.5035, command="medsim evaluate medsim/Sepsis-v0 --policy all"),
        evaluation={"deaths": "expected"},  # the probability of death in place of a drawn one: the same mean, far less noise
        patients=400,
    ),
    EnvironmentCard(
        id="medsim/Glucose-v0",
        question="insulin dosing in type 1 diabetes, every 5 minutes for a day",
        entry_point="medsim.treatments.glucose:GlucoseEnv",
        vector_entry_point="medsim.treatments.glucose:GlucoseVectorEnv",
        task="medsim.treatments.glucose:glucose_task",
        policies="medsim.policies.glucose",
        floor_policy="random",
        protocol_policy="basal-bolus",
        ceiling_policy="clairvoyant",
        scores=Scores(floor=-135.663, protocol=-10.793, ceiling=-1.895, command="medsim evaluate medsim/Glucose-v0 --policy all"),
    ),
    EnvironmentCard(
        id="medsim/SepsisSCM-v0",
        question="antibiotics, ventilation, vasopressor in sepsis, diabetes hidden, 20 steps; every policy valued exactly",
        entry_point="medsim.treatments.sepsis_scm:SepsisScmEnv",
        vector_entry_point="medsim.treatments.sepsis_scm:SepsisScmVectorEnv",
        task="medsim.treatments.sepsis_scm:sepsis_scm_task",
        policies="medsim.policies.sepsis_scm",
        floor_policy="random",
        protocol_policy="physician-soft",
        ceiling_policy="pomdp",
        scores=Scores(floor=-0.7164, protocol=0.4334, ceiling=0.5643, command="medsim evaluate medsim/SepsisSCM-v0 --policy all"),
    ),
    EnvironmentCard(
        id="medsim/ICUSepsis-v0",
        question="fluids and vasopressors in sepsis, every 4 h, a table estimated from records; every policy valued exactly",
        entry_point="medsim.treatments.icu_sepsis:IcuSepsisEnv",
        vector_entry_point="medsim.treatments.icu_sepsis:IcuSepsisVectorEnv",
        task="medsim.treatments.icu_sepsis:icu_sepsis_task",
        policies="medsim.policies.icu_sepsis",
        floor_policy="random",
        protocol_policy="expert",
        ceiling_policy="optimal",
        scores=Scores(floor=0.780071, protocol=0.781845, ceiling=0.875142, command="medsim evaluate medsim/ICUSepsis-v0 --policy all"),
        needs="icu_sepsis",
        extra="icu",
    ),
)


HOSPITALS: tuple[HospitalCard, ...] = (
    HospitalCard(
        id="medsim/HospitalFlow-v0",
        question="who gets the next bed, in an emergency department, on the wards and in intensive care; four agents, a week",
        entry_point="medsim.hospital.flow.environment:HospitalFlowEnv",
        several_agents=True,
        task="medsim.hospital.flow.environment:hospital_flow_task",
        policies="medsim.policies.hospital_flow",
        floor_policy="random",
        protocol_policy="priority",
        ceiling_policy="beds-follow",
        episodes=100,
        scores=Scores(floor=-3467.86, protocol=-2154.30, ceiling=-2045.60, command="medsim evaluate medsim/HospitalFlow-v0 --policy all"),
    ),
    HospitalCard(
        id="medsim/ICUAdmission-v0",
        question="admit or refuse two classes of patients to intensive care; the optimum is known",
        entry_point="medsim.hospital.icu_admission:IcuAdmissionEnv",
        several_agents=False,
        task="medsim.hospital.icu_admission:icu_admission_task",
        policies="medsim.policies.icu_admission",
        floor_policy="random",
        protocol_policy="admit-all",
        ceiling_policy="optimal",
        scores=Scores(floor=-534.0, protocol=-127.85, ceiling=-66.9, command="medsim evaluate medsim/ICUAdmission-v0 --policy all"),
    ),
    HospitalCard(
        id="medsim/RegionalNetwork-v0",
        question="which ambulance, which hospital, who is moved, who diverts, in a region of four hospitals; two days",
        entry_point="medsim.hospital.regional_network:RegionalNetworkEnv",
        several_agents=True,
        task="medsim.hospital.regional_network:regional_network_task",
        policies="medsim.policies.regional_network",
        floor_policy="random",
        protocol_policy="nearest",
        ceiling_policy="levelled",
        scores=Scores(floor=-1340.87, protocol=-846.67, ceiling=-545.47, command="medsim evaluate medsim/RegionalNetwork-v0 --policy all"),
    ),
    HospitalCard(
        id="medsim/Theatre-v0",
        question="which case next, in four operating rooms that share recovery and intensive care; a day",
        entry_point="medsim.hospital.theatre:TheatreEnv",
        several_agents=True,
        task="medsim.hospital.theatre:theatre_task",
        policies="medsim.policies.theatre",
        floor_policy="random",
        protocol_policy="urgency-first",
        ceiling_policy="searched",
        scores=Scores(floor=-15.204, protocol=-10.155, ceiling=-9.881, command="medsim evaluate medsim/Theatre-v0 --policy all"),
        episodes=400,
    ),
)


def register_all() -> None:
    """Register every environment with Gymnasium, and those of several agents with PettingZoo, as parallel and as turn-taking ones."""
    import pettingzoo

    for one in ENVIRONMENTS:
        gym.register(id=one.id, entry_point=one.entry_point, vector_entry_point=one.vector_entry_point)
    for hospital in HOSPITALS:
        if hospital.several_agents:
            pettingzoo.register("parallel", hospital.id, entry_point=hospital.entry_point)
            pettingzoo.register("aec", hospital.id, entry_point="medsim.hospital.turns:make_turns", kwargs={"env_id": hospital.id})
        else:
            gym.register(id=hospital.id, entry_point=hospital.entry_point)


def card(env_id: str) -> EnvironmentCard:
    """Return the card of a treatment's environment.

    Raises:
        ValueError: there is no environment of that id.
    """
    return card_among(ENVIRONMENTS, env_id)


def hospital_card(env_id: str) -> HospitalCard:
    """Return the card of a hospital's environment.

    Raises:
        ValueError: there is no environment of that id.
    """
    return card_among(HOSPITALS, env_id)


def card_of(env_id: str) -> EnvironmentCard | HospitalCard:
    """Return the card of an environment of either kind.

    Raises:
        ValueError: there is none of that id.
    """
    return hospital_card(env_id) if is_hospital(env_id) else card(env_id)


def is_hospital(env_id: str) -> bool:
    """Return whether an id is that of a hospital's environment."""
    return any(one.id == env_id for one in HOSPITALS)


CardOf = TypeVar("CardOf", EnvironmentCard, HospitalCard)


def card_among(cards: tuple[CardOf, ...], env_id: str) -> CardOf:
    """Return the card of that id among several.

    Raises:
        ValueError: none has that id.
    """
    for one in cards:
        if one.id == env_id:
            return one
    known = [one.id for one in ENVIRONMENTS] + [one.id for one in HOSPITALS]
    if env_id in known:
        if is_hospital(env_id):
            raise ValueError(f"{env_id} is a hospital: use evaluate_hospital, hospital_policies and hospital_card")
        raise ValueError(f"{env_id} is no hospital: use evaluate, reference_policies and card")
    raise ValueError(f"no environment is called {env_id!r}; there are {', '.join(known)}")


def make_task(env_id: str, **options: Any) -> Any:
    """Return the task of an environment with options."""
    import importlib

    known = card_of(env_id)
    module, _, function = known.task.partition(":")
    return getattr(importlib.import_module(module), function)(**options)
