"""The best known: a dosing plan made for one patient by someone who knows their body and their day.

The plan is searched for in copies of the very patient, meals and all (cross-entropy method), and then carried out without looking
at the monitor. No agent can know this much: it is a ceiling to measure against, not a competitor. The search is random but keyed
to the patient, so the same patient always gets the same plan.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.core import kernels as k
from medsim.core.batch import Batch
from medsim.core.vector import PatientVectorEnv

__all__ = ["ClairvoyantPolicy"]

Array = npt.NDArray[np.float64]

BASAL_BLOCK_H = 1.0  # the plan's basal rate changes hourly
LEAD_MIN = 60.0  # a meal's bolus comes up to this long before it
MEALS = 6


class ClairvoyantPolicy:
    """Basal multiple for each hour, and for each meal a bolus and its lead, found by search in the simulator itself.

    Args:
        candidates: plans tried for each patient in each round; rounds: rounds of the search; elite: share that the next round
            learns from.
    """

    name = "clairvoyant"
    options: Mapping[str, Any] = {"action": "continuous", "bolus": True}

    def __init__(self, candidates: int = 48, rounds: int = 30, elite: float = 0.15) -> None:
        self.candidates, self.rounds, self.elite = candidates, rounds, max(2, round(elite * candidates))

    def begin(self, env: PatientVectorEnv) -> None:
        """Search the plans of all patients of the batch."""
        self.step = 0
        self.orders = self.search(env)

    def act(self, observations: npt.NDArray[Any]) -> Array:
        """Return the plan's next doses (n, 2)."""
        doses = self.orders[:, min(self.step, self.orders.shape[1] - 1)]
        self.step += 1
        return doses

    def search(self, env: PatientVectorEnv) -> Array:
        """Return the doses of the best plans found, (n, steps, 2)."""
        n, c = env.num_envs, self.candidates
        copies = copies_of(env, c)
        own, ratio, minutes, carbs = self.what_is_known(env)
        hours = round(env.task.horizon_steps * env.task.step_h / BASAL_BLOCK_H)
        days = carbs.shape[1] // MEALS
        mean = np.concatenate([np.ones((n, hours)), np.ones((n, days * MEALS)), np.full((n, days * MEALS), 15.0 / LEAD_MIN)], axis=1)
        sd = np.concatenate([np.full((n, hours), 0.5), np.full((n, days * MEALS), 0.3), np.full((n, days * MEALS), 0.3)], axis=1)
        rng = np.random.Generator(np.random.Philox(key=[int(env.batch.ids[0, k.SEED_LOW]), int(env.batch.ids[0, k.SLOT])]))
        best, best_return = mean.copy(), np.full(n, -np.inf)
        for number in range(self.rounds):
            plans = mean[:, None] + sd[:, None] * rng.standard_normal((n, c, mean.shape[1]))
            plans[:, 0] = mean if number == 0 else best
            orders = self.orders_of(np.maximum(plans, 0.0), own, ratio, minutes, carbs, env, hours)
            returns = play(copies, orders.reshape(n * c, -1, 2)).reshape(n, c)
            order = np.argsort(-returns, axis=1)
            top = np.take_along_axis(plans, order[:, : self.elite, None], axis=1)
            mean, sd = top.mean(axis=1), 0.9 * top.std(axis=1) + 0.1 * sd
            leader = returns[np.arange(n), order[:, 0]]
            better = leader > best_return
            best[better], best_return[better] = top[better, 0], leader[better]
        return self.orders_of(np.maximum(best[:, None], 0.0), own, ratio, minutes, carbs, env, hours)[:, 0]

    def what_is_known(self, env: PatientVectorEnv) -> tuple[Array, Array, Array, Array]:
        """Return own basal U/h, carbohydrate ratio g/U (n,), and the minutes and grams of every meal (n, 6 x days)."""
        from medsim.core.model import field_names

        model = env.task.model
        params = dict(zip(field_names(model.params), env.batch.record("params"), strict=True))
        own = params["basal_pmol_per_kg_per_min"] * params["weight_kg"] * 60.0 / 6000.0
        minutes, carbs = meals_ahead(env)
        return own, params["carb_ratio_g_per_u"], minutes, carbs

    def orders_of(self, plans: Array, own: Array, ratio: Array, minutes: Array, carbs: Array, env: PatientVectorEnv, hours: int) -> Array:
        """Return the doses (n, c, steps, 2) of plans (n, c, hours + 2 x meals)."""
        n, c, _ = plans.shape
        meals = carbs.shape[1]
        steps, step_min = env.task.horizon_steps, env.task.step_h * 60.0
        most = np.asarray(env.single_action_space.high, dtype=np.float64)  # type: ignore[attr-defined]
        hour = np.minimum((np.arange(steps) * env.task.step_h / BASAL_BLOCK_H).astype(int), hours - 1)
        orders = np.zeros((n, c, steps, 2))
        orders[..., 0] = plans[..., :hours][..., hour] * own[:, None, None]
        boluses = plans[..., hours : hours + meals] * (carbs / ratio[:, None])[:, None]
        lead = np.minimum(plans[..., hours + meals :], 1.0) * LEAD_MIN
        when = np.clip(np.floor((minutes[:, None] - lead) / step_min).astype(int), 0, steps - 1)
        rows = np.arange(n)[:, None, None], np.arange(c)[None, :, None]
        np.add.at(orders[..., 1], (*rows, when), np.where(minutes[:, None] >= 0.0, boluses, 0.0))
        return np.asarray(np.clip(orders, 0.0, most))


def copies_of(env: PatientVectorEnv, copies: int) -> Batch:
    """Return a batch with each patient of ``env`` ``copies`` times, each at the start of the same episode."""
    source = env.batch
    batch = Batch(env.task.model, env.task.view, env.num_envs * copies, source.settings, mode=k.DISABLED)
    batch.table = source.table
    batch.ids[:] = np.repeat(source.ids, copies, axis=0)
    return batch


def play(batch: Batch, orders: Array) -> Array:
    """Return the return of each patient of the batch under doses (n, steps, 2), from the start of their episode."""
    batch.ids[:, k.EPISODE] -= 1
    batch.reset()
    returns = np.zeros(batch.n)
    alive = np.ones(batch.n, dtype=np.bool_)
    for step in range(orders.shape[1]):
        batch.actions[:] = orders[:, step]
        batch.step()
        returns += np.where(alive, batch.out[k.REWARD], 0.0)
        alive &= ~(batch.ends[0] | batch.ends[1])
        if not alive.any():
            break
    batch.ids[:, k.ENDED] = 0
    return returns


def meals_ahead(env: PatientVectorEnv) -> tuple[Array, Array]:
    """Return the minute since the start and the grams of every meal of the episode, (n, 6 x days); minute -1: left out."""
    from medsim.core.streams import Key
    from medsim.treatments.glucose.meals import schedule_of_the_day
    from medsim.treatments.glucose.model import Params, Settings

    days = -(-round(env.task.horizon_steps * env.task.step_h) // 24)
    settings = Settings(*env.batch.settings.tolist())
    rows = env.batch.record("params").T.tolist()
    keys = env.batch.ids[:, : k.STEP + 1].tolist()
    minutes, carbs = np.full((env.num_envs, MEALS * days), -1.0), np.zeros((env.num_envs, MEALS * days))
    for i, (row, key) in enumerate(zip(rows, keys, strict=True)):
        for day in range(days):
            schedule = schedule_of_the_day(Params(*row), settings, Key(*key), day)
            for meal in range(MEALS):
                if schedule[meal] >= 0.0:
                    minutes[i, day * MEALS + meal] = schedule[meal] + 1440.0 * day
                    carbs[i, day * MEALS + meal] = schedule[MEALS + meal]
    return minutes, carbs
