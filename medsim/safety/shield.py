"""A shield: it stands between any policy and the patients, changes or refuses what it proposes, and writes down when and why.

Three guards, in this order, each of them optional:

- a score of how foreign an observation is: above a threshold the environment's protocol acts instead;
- rules of the bedside on what is seen and proposed, each of which lowers, raises or replaces doses (``SEPSIS_RULES``, ``GLUCOSE_RULES``);
- a look-ahead: the running simulation is copied, plays on with the proposal, and refuses it where a named harm passes a limit.
  **It sees the simulator's truth**, the patient's hidden state and the chance to come. Nobody has that at a bedside: it shows what a
  perfect model of the patient would prevent, no more.

What needs no guard passes through to the bit.
"""

import copy
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.vector import AutoresetMode

from medsim.core import kernels as k
from medsim.core.vector import PatientVectorEnv
from medsim.policies.grid import GRIDS, Grid
from medsim.policies.policy import NamedColumns, Policy

__all__ = ["GLUCOSE_RULES", "SEPSIS_RULES", "Foreign", "Intervention", "Rule", "Shield", "SimulatorLookahead"]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Read = Callable[[str], Floats]  # a column of the observations by name, (n,)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule on doses.

    Args:
        name, reason: what it forbids, and why, with a source.
        forbids: (read, doses (n, a)) -> which patients' doses it forbids, (n,).
        instead: (read, doses (n, a)) -> the doses in their place, (n, a).
    """

    name: str
    reason: str
    forbids: Callable[[Read, Floats], npt.NDArray[np.bool_]]
    instead: Callable[[Read, Floats], Floats]


@dataclass(frozen=True, kw_only=True)
class Foreign:
    """When an observation is too foreign to the policy for it to act: a score above a threshold.

    Args:
        score: observations (n, k) or a dict of arrays -> (n,), higher is more foreign.
    """

    score: Callable[[Any], Floats]
    threshold: float


@dataclass(frozen=True, kw_only=True)
class SimulatorLookahead:
    """Plays the proposal on in a copy of the running simulation, then the fall-back. It knows the truth: hidden state and coming chance.

    Args:
        steps: how far it looks, the proposal's own step first; 1 or more.
        cost_limits: name -> the most that a patient may cost within these steps.
        outcomes: that refuse a proposal, such as ("died_within_72_h",) or ("severe_hypoglycaemia",).

    Raises:
        ValueError: steps is below 1, or there is nothing to look for.
    """

    steps: int = 1
    cost_limits: Mapping[str, float] = field(default_factory=dict)
    outcomes: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"a look-ahead takes 1 step or more, not {self.steps}")
        if not self.cost_limits and not self.outcomes:
            raise ValueError("a look-ahead needs cost_limits or outcomes to look for")

    def refuse_unless_known(self, env: PatientVectorEnv) -> None:
        """Raise ValueError if the environment has not every cost and outcome looked for."""
        for what, wanted, known in (("cost", self.cost_limits, env.batch.cost_names), ("outcome", self.outcomes, env.outcomes[1:])):
            for name in wanted:
                if name not in known:
                    raise ValueError(f"look-ahead: {env.task.id} has no {what} {name!r}; it has {', '.join(known)}")

    def foresee(self, env: PatientVectorEnv, actions: Array, fallback: Policy) -> dict[str, npt.NDArray[np.bool_]]:
        """Return for each named harm whose proposal leads to it, (n,) each; the environment is as before afterwards."""
        batch, kept, then = env.batch, env.snapshot(), copied(fallback, env)
        running = env.running
        names = list(batch.cost_names)
        sums = {name: np.zeros(env.num_envs) for name in self.cost_limits}
        found = {name: np.zeros(env.num_envs, dtype=np.bool_) for name in self.outcomes}
        for step in range(self.steps):
            ended = env.step_running(actions if step == 0 else then.act(env.observations()))
            for name in sums:
                sums[name] += np.where(running, batch.costs[names.index(name)], 0.0)
            codes = batch.out[k.OUTCOME].astype(np.int64)
            for name, met in found.items():
                met |= ended & (codes == env.outcomes.index(name))
            running = running & ~ended
            if not running.any():
                break
        env.restore(kept)
        return {**{name: sums[name] > limit for name, limit in self.cost_limits.items()}, **found}


@dataclass(frozen=True)
class Intervention:
    """One change of what a policy proposed: the step (from 0), the patient's place in the batch, and every reason."""

    step: int
    patient: int
    proposed: tuple[float, ...]
    done: tuple[float, ...]
    why: tuple[str, ...]


class Shield:
    """Any batch policy behind guards.

    Args:
        policy: the one that proposes; fallback: the one that acts where it may not, such as the environment's protocol, with the same
            options and actions. It acts at every step, unheard, so that what it remembers is up to date.
        rules, lookahead, foreign: the guards. Rules and look-ahead are for the policy: what the fall-back does is not questioned.
        grid: of discrete actions, what they mean in doses, which rules need; None: as ``GRIDS`` says.

    Attributes:
        interventions: since ``begin``, those on patients whose episode was running.

    Raises:
        ValueError: the two policies act under different options; or, when it begins, a cost or outcome is unknown, rules lack a grid, or
            the environment begins episodes by itself.
    """

    def __init__(self, policy: Policy, fallback: Policy, *, rules: Sequence[Rule] = (), lookahead: SimulatorLookahead | None = None,
                 foreign: Foreign | None = None, grid: Grid | None = None) -> None:  # fmt: skip
        ours, theirs = dict(policy.options), dict(fallback.options)
        if ours != theirs:
            raise ValueError(
                f"{policy.name} acts under the options {ours} and the fall-back {fallback.name} under {theirs}: choose another"
            )
        self.policy, self.fallback = policy, fallback
        self.rules, self.lookahead, self.foreign, self.given_grid = tuple(rules), lookahead, foreign, grid
        self.name, self.options = f"{policy.name} shielded", policy.options
        self.interventions: list[Intervention] = []

    def begin(self, env: PatientVectorEnv) -> None:
        """Begin both policies, and an empty log."""
        if self.lookahead is not None:
            self.lookahead.refuse_unless_known(env)
        if env.autoreset_mode is not AutoresetMode.DISABLED:
            raise ValueError(f"a shield needs autoreset_mode='disabled', not {env.autoreset_mode.value!r}")
        self.grid = self.grid_of(env) if self.rules else None
        self.env, self.step = env, 0
        self.columns = NamedColumns(env) if self.rules else None
        self.interventions = []
        self.policy.begin(env)
        self.fallback.begin(env)

    def grid_of(self, env: PatientVectorEnv) -> Grid | None:
        """Return what discrete actions mean in doses, or None where actions are doses; raises ValueError if nobody has said so."""
        if isinstance(env.single_action_space, spaces.Box):
            return None
        if self.given_grid is not None:
            return self.given_grid
        if env.task.id not in GRIDS:
            raise ValueError(f"rules are on doses, and {env.task.id} takes {env.single_action_space}: say what it means with grid=")
        return GRIDS[env.task.id](env.task.config)

    def act(self, observations: Any) -> Array:
        """Return what is done, (n,) or (n, a)."""
        proposed, safe = np.asarray(self.policy.act(observations)), np.asarray(self.fallback.act(observations))
        why: list[list[str]] = [[] for _ in range(len(proposed))]
        replaced = self.too_foreign(observations, why)
        done = self.ruled(proposed, observations, ~replaced, why)
        done = chosen(replaced, safe, done)
        if self.lookahead is not None:
            refused = self.refused(done, ~replaced, why)
            done = chosen(refused, safe, done)
        self.note(proposed, done, why)
        self.step += 1
        return done

    def too_foreign(self, observations: Any, why: list[list[str]]) -> npt.NDArray[np.bool_]:
        """Return whose observations are too foreign, (n,)."""
        if self.foreign is None:
            return np.zeros(len(why), dtype=np.bool_)
        scores = np.asarray(self.foreign.score(observations), dtype=np.float64)
        found = scores > self.foreign.threshold
        for row in np.flatnonzero(found):
            why[row].append("foreign observation")
        return found

    def ruled(self, proposed: Array, observations: Any, asked: npt.NDArray[np.bool_], why: list[list[str]]) -> Array:
        """Return the proposals with every rule applied in turn, for those asked about."""
        if self.columns is None:
            return proposed
        columns, grid = self.columns, self.grid

        def read(name: str) -> Floats:
            return columns(observations, name)

        unit = np.ones(0) if grid is None else grid.units(read, len(proposed))
        doses = proposed.astype(np.float64) if grid is None else grid.doses(proposed, unit)
        changed = np.zeros(len(proposed), dtype=np.bool_)
        for rule in self.rules:
            against = asked & rule.forbids(read, doses)
            doses = chosen(against, rule.instead(read, doses), doses)
            changed |= against
            for row in np.flatnonzero(against):
                why[row].append(rule.name)
        if not changed.any():
            return proposed
        return chosen(changed, doses if grid is None else grid.below(doses, unit), proposed)

    def refused(self, done: Array, asked: npt.NDArray[np.bool_], why: list[list[str]]) -> npt.NDArray[np.bool_]:
        """Return whose proposal the look-ahead refuses, (n,)."""
        assert self.lookahead is not None
        refused = np.zeros(len(done), dtype=np.bool_)
        for name, led in self.lookahead.foresee(self.env, done, self.fallback).items():
            against = led & asked & self.env.running
            refused |= against
            for row in np.flatnonzero(against):
                why[row].append(f"simulator look-ahead: {name}")
        return refused

    def note(self, proposed: Array, done: Array, why: list[list[str]]) -> None:
        """Write down the interventions of a step."""
        for row in np.flatnonzero(self.env.running):
            if why[row]:
                self.interventions.append(Intervention(self.step, int(row), numbers(proposed[row]), numbers(done[row]), tuple(why[row])))

    def counts(self) -> dict[str, int]:
        """Return how often each reason was given; an intervention with two reasons counts under both."""
        return dict(Counter(reason for one in self.interventions for reason in one.why))


def chosen(rows: npt.NDArray[np.bool_], these: Array, others: Array) -> Array:
    """Return ``these`` for the rows set and ``others`` for the rest, in the type of others where none is set."""
    if not rows.any():
        return others
    return np.where(rows if others.ndim == 1 else rows[:, None], these, others)


def numbers(action: Array) -> tuple[float, ...]:
    """Return one patient's action as plain numbers."""
    return tuple(np.atleast_1d(action).astype(float).tolist())


def copied(policy: Policy, env: PatientVectorEnv) -> Policy:
    """Return a copy of a policy as it is now, which acts in the same environment."""
    return copy.deepcopy(policy, {id(env): env, id(env.batch): env.batch, id(env.task): env.task})


# Rules that are shipped


def capped(number: int, most: Callable[[Read, Floats], Floats]) -> dict[str, Any]:
    """Return the two functions of a rule by which one dose, where it is given at all, is at most ``most``, (n,)."""

    def instead(read: Read, doses: Floats) -> Floats:
        lower = doses.copy()
        lower[:, number : number + 1] = np.minimum(lower[:, number : number + 1], most(read, doses)[:, None])
        return lower

    return {"forbids": lambda read, doses: dose_of(doses, number) > most(read, doses), "instead": instead}


def dose_of(doses: Floats, number: int) -> Floats:
    """Return one of the doses (n, a), (n,); zeros of one that the environment has not, such as a bolus."""
    return doses[:, number] if number < doses.shape[1] else np.zeros(len(doses))


FLUID, NOREPINEPHRINE, BASAL, BOLUS = 0, 1, 0, 1
NOREPINEPHRINE_MOST = 1.0  # mcg/kg/min
OVERLOAD_ML_PER_KG = 100.0  # a tenth of body weight
TARGET_MAP_MMHG = 65.0
LOW_GLUCOSE_MG_PER_DL, LOW_SOON_MG_PER_DL = 70.0, 80.0
HIGH_GLUCOSE_MG_PER_DL, TARGET_GLUCOSE_MG_PER_DL = (
    180.0,
    140.0,
)  # the end of the range wanted; what the protocol, ``basal-bolus``, corrects to
MEAL_MIN, STEPS_PER_H = 60.0, 12.0  # chosen: a meal not covered within the hour is left to corrections; the environment's usual step


def room_for_fluid(read: Read, doses: Floats) -> Floats:
    """Return the fluid in mL/h that one hour may bring until the balance is a tenth of body weight."""
    return np.maximum(OVERLOAD_ML_PER_KG * read("weight_kg") - read("fluid_balance_ml"), 0.0)


def low_pressure_weaned(read: Read, doses: Floats) -> npt.NDArray[np.bool_]:
    """Return whose norepinephrine is to fall although their pressure is below the target, (n,)."""
    running = np.minimum(read("norepinephrine_mcg_per_kg_per_min"), NOREPINEPHRINE_MOST)
    return np.asarray((read("map_mmhg") < TARGET_MAP_MMHG) & (doses[:, NOREPINEPHRINE] < running))


def kept_running(read: Read, doses: Floats) -> Floats:
    """Return the doses with norepinephrine as it runs, up to the most."""
    kept = doses.copy()
    kept[:, NOREPINEPHRINE] = np.maximum(
        kept[:, NOREPINEPHRINE], np.minimum(read("norepinephrine_mcg_per_kg_per_min"), NOREPINEPHRINE_MOST)
    )
    return kept


SEPSIS_RULES = (
    Rule(
        name="norepinephrine above 1 mcg/kg/min",
        reason="of those given more, 90 % died in the unit: Martin et al., Shock 2015;44:305-309 (abstract); the cost high_norepinephrine",
        **capped(NOREPINEPHRINE, lambda read, doses: np.full(len(doses), NOREPINEPHRINE_MOST)),
    ),
    Rule(
        name="fluid beyond a tenth of body weight",
        reason="the usual definition of fluid overload, and its mortality: Bouchard et al., Kidney Int 2009;76:422-427",
        **capped(FLUID, room_for_fluid),
    ),
    Rule(
        name="norepinephrine lowered below 65 mmHg",
        reason="mean pressure of 65 mmHg first: Surviving Sepsis Campaign, Evans et al., Crit Care Med 2021;49:e1063-e1143",
        forbids=low_pressure_weaned,
        instead=kept_running,
    ),
)
"""Rules for ``medsim/Sepsis-v0`` (``observation="vector"``); doses are fluid mL/h and norepinephrine mcg/kg/min."""


def suspended_when_low(read: Read, doses: Floats) -> Floats:
    """Return no insulin for who is below 70 mg/dL, or will be below 80 in half an hour if the last 15 min go on; for others no bound."""
    cgm = read("cgm_mg_per_dl")
    coming = cgm + 2.0 * (cgm - read("cgm_15_min_ago_mg_per_dl"))
    return np.where((cgm < LOW_GLUCOSE_MG_PER_DL) | (coming < LOW_SOON_MG_PER_DL), 0.0, np.inf)


def correction(read: Read) -> Floats:
    """Return the insulin in U that brings who is above 180 mg/dL to 140."""
    cgm = read("cgm_mg_per_dl")
    excess = np.where(cgm > HIGH_GLUCOSE_MG_PER_DL, cgm - TARGET_GLUCOSE_MG_PER_DL, 0.0)
    return np.asarray(excess / read("correction_mg_per_dl_per_u"))


def needed_bolus(read: Read, doses: Floats) -> Floats:
    """Return the bolus that a pump's calculator allows: the meal's, and a correction less the insulin on board."""
    meal = read("announced_carbs_g") / read("carb_ratio_g_per_u")
    return meal + np.maximum(correction(read) - np.maximum(read("insulin_on_board_u"), 0.0), 0.0)


def needed_basal(read: Read, doses: Floats) -> Floats:
    """Return the highest basal rate in U/h: the patient's own, and beyond it what is still needed for this hour's meal and correction, less
    the insulin on board and this step's bolus, within one step of five minutes."""
    meal = np.where(read("minutes_since_announced_meal") < MEAL_MIN, read("last_announced_carbs_g"), 0.0)
    carbs = np.maximum(meal, read("announced_carbs_g"))
    needed = carbs / read("carb_ratio_g_per_u") + correction(read)
    missing = np.maximum(needed - np.maximum(read("insulin_on_board_u"), 0.0) - dose_of(doses, BOLUS), 0.0)
    return read("own_basal_u_per_h") + missing * STEPS_PER_H


SUSPEND = (
    "pumps suspend below 70 mg/dL (ASPIRE, Bergenstal et al., N Engl J Med 2013;369:224-232) and when the last four readings forecast less "
    "than 80 in 30 min (Basal-IQ, Pinsker et al., Diabetes 2019;68(Suppl 1):120-LB; its trial: PROLOG, Forlenza et al., Diabetes Care "
    "2018;41:2155-2161, doi 10.2337/dc18-0771)"
)
CALCULATOR = "what a bolus calculator does, insulin on board taken from the correction: Walsh et al., J Diabetes Sci Technol 2011;5:129-135"
GLUCOSE_RULES = (
    Rule(name="basal insulin at low glucose", reason=SUSPEND, **capped(BASAL, suspended_when_low)),
    Rule(name="bolus at low glucose", reason=SUSPEND, **capped(BOLUS, suspended_when_low)),
    Rule(name="bolus above the calculator's", reason=CALCULATOR, **capped(BOLUS, needed_bolus)),
    Rule(name="basal rate above what is needed", reason=CALCULATOR, **capped(BASAL, needed_basal)),
)
"""Rules for ``medsim/Glucose-v0`` (``observation="vector"``); doses are basal rate U/h and bolus U, if there are boluses; steps of five
minutes."""
