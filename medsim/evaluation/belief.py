"""Optimal control when one thing is hidden: a patient belongs to one of two classes for good, and nobody says to which.

What has been seen is worth as much as what is seen now and the probability of the second class given all of it, the belief. Values
are convex in the belief. They are bounded from below by plans that can be carried out: a plan is worth one number for each class, and
at each point of a grid of beliefs the best plan is kept that goes on with plans of the grid (Pineau, Gordon, Thrun, IJCAI 2003).
Whoever carries the plans out is a controller with finitely many nodes, so its own value is computed exactly; interpolation between the
points bounds the optimum from above.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from medsim.core.compile import compiled_together, jit_enabled
from medsim.evaluation.exact import NOBODY, TIE, Exact, Problem, Tally

__all__ = ["Controller", "belief_grid", "best_controller", "controller_value", "upper_bound"]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
ROUNDS, SWEEPS, LAST_SWEEPS = 12, 100, 120  # chosen: after these the value of SepsisSCM-v0 changes by less than 1e-5
MOST_SWEEPS = 3000
Count = Callable[[int], None] | None


def belief_grid(points: int) -> Array:
    """Return beliefs (points,): 0, 1, and between them even steps of log odds from -9 to 9."""
    return np.concatenate([[0.0], 1.0 / (1.0 + np.exp(-np.linspace(-9.0, 9.0, points - 2))), [1.0]])


@dataclass(frozen=True, kw_only=True, eq=False)
class Moves:
    """What can follow an observation and an action, for both classes; arrays over links, those of a pair lie together.

    A pair is an observation in which the course goes on, times actions, plus the action.
    """

    codes: Integers  # (observations,) in which the course goes on
    first: Integers  # (pairs + 1,) first link of each pair
    to: Integers  # (links,) which observation, as a place in ``codes``
    p: Array  # (links, 2) its probability for each class
    earned: Array  # (pairs, 2) expected reward of the step for each class

    @classmethod
    def of(cls, problem: Problem) -> "Moves":
        """Return the moves of a problem whose states are two copies of the same observations, one for each class."""
        half = problem.states // 2
        codes = np.flatnonzero(~problem.over[:half])
        place = np.full(half, -1, dtype=np.int64)
        place[codes] = np.arange(len(codes))
        first, to, p = [0], [], []
        dense = problem.go_on.toarray().reshape(problem.states, problem.actions, problem.states)
        for code in codes:
            for action in range(problem.actions):
                both = np.stack([dense[code, action, :half], dense[half + code, action, half:]])
                where = np.flatnonzero(both.any(axis=0))
                to.append(place[where])
                p.append(both[:, where].T)
                first.append(first[-1] + len(where))
        earned = np.stack([problem.rewards[codes], problem.rewards[half + codes]], axis=-1).reshape(-1, 2)
        return cls(codes=codes, first=np.array(first), to=np.concatenate(to), p=np.concatenate(p), earned=earned)


def above(belief: float, grid: Array) -> int:
    """Return the first point of the grid that is not below a belief."""
    low, high = 0, grid.shape[0] - 1
    while low < high:
        middle = (low + high) // 2
        if grid[middle] < belief:
            low = middle + 1
        else:
            high = middle
    return low


def node_for(belief: float, grid: Array, plans: Array) -> int:
    """Return which of the two nearest points of the grid has the better plan for a belief; plans (points, 2)."""
    high = above(belief, grid)
    if high == 0:
        return 0
    low = high - 1
    at_low = (1.0 - belief) * plans[low, 0] + belief * plans[low, 1]
    at_high = (1.0 - belief) * plans[high, 0] + belief * plans[high, 1]
    return high if at_high > at_low else low


def belief_after(belief: float, p0: float, p1: float) -> float:
    """Return the belief after something that has probability p0 for the first and p1 for the second class."""
    second = belief * p1
    either = (1.0 - belief) * p0 + second
    if either <= 0.0:
        return 1.0 if p1 > p0 else 0.0
    return second / either


def improve(first: Array, to: Array, p: Array, earned: Array, grid: Array, discount: float, plans: Array, better: Array,
            actions: Array, tie: float) -> None:  # fmt: skip
    """Write into ``better`` (observations, points, 2) the best plans that go on with ``plans``, and their first actions."""
    count = earned.shape[0] // plans.shape[0]
    for code in range(plans.shape[0]):
        for node in range(grid.shape[0]):
            belief = grid[node]
            best = -1e300
            for action in range(count):
                pair = code * count + action
                for_first, for_second = earned[pair, 0], earned[pair, 1]
                for link in range(first[pair], first[pair + 1]):
                    after = belief_after(belief, p[link, 0], p[link, 1])
                    follow = plans[to[link]]
                    chosen = node_for(after, grid, follow)
                    for_first += discount * p[link, 0] * follow[chosen, 0]
                    for_second += discount * p[link, 1] * follow[chosen, 1]
                value = (1.0 - belief) * for_first + belief * for_second
                if value > best + tie:
                    best = value
                    better[code, node, 0] = for_first
                    better[code, node, 1] = for_second
                    actions[code, node] = action


def raise_bound(first: Array, to: Array, p: Array, earned: Array, grid: Array, discount: float, bound: Array, raised: Array) -> None:
    """Write into ``raised`` (observations, points) the bound from above one step earlier."""
    count = earned.shape[0] // bound.shape[0]
    for code in range(bound.shape[0]):
        for node in range(grid.shape[0]):
            belief = grid[node]
            raised[code, node] = -1e300
            for action in range(count):
                pair = code * count + action
                value = (1.0 - belief) * earned[pair, 0] + belief * earned[pair, 1]
                for link in range(first[pair], first[pair + 1]):
                    likely = (1.0 - belief) * p[link, 0] + belief * p[link, 1]
                    if likely > 0.0:
                        after = belief * p[link, 1] / likely
                        high = max(above(after, grid), 1)
                        share = (after - grid[high - 1]) / (grid[high] - grid[high - 1])
                        follow = bound[to[link]]
                        value += discount * likely * ((1.0 - share) * follow[high - 1] + share * follow[high])
                raised[code, node] = max(raised[code, node], value)


def trace(first: Array, to: Array, p: Array, grid: Array, plans: Array, actions: Array, count: int, begin: Array, nodes: Array,
          likely: Array) -> None:  # fmt: skip
    """Write where each node of a controller leads: ``nodes`` (links,) and their probabilities ``likely`` (links, 2)."""
    for code in range(actions.shape[0]):
        for node in range(grid.shape[0]):
            pair = code * count + actions[code, node]
            place = begin[code * grid.shape[0] + node]
            for link in range(first[pair], first[pair + 1]):
                after = belief_after(grid[node], p[link, 0], p[link, 1])
                nodes[place] = to[link] * grid.shape[0] + node_for(after, grid, plans[to[link]])
                likely[place, 0] = p[link, 0]
                likely[place, 1] = p[link, 1]
                place += 1


@lru_cache(maxsize=2)
def kernels(compiled: bool) -> dict[str, Any]:
    """Return the three loops, compiled or as plain Python."""
    loops = (improve, raise_bound, trace)
    return compiled_together("belief", *loops) if compiled else {loop.__name__: loop for loop in loops}


@dataclass(frozen=True, kw_only=True, eq=False)
class Controller:
    """Plans for every step (steps, or one for all), observation and point of the grid; steps count from the start.

    ``plans`` (steps + 1, observations, points, 2), or without a deadline (2, ...) twice the same, are what each is worth for each
    class; ``actions`` (steps, observations, points).
    """

    moves: Moves
    grid: Array
    plans: Array
    actions: Integers

    def at(self, step: int) -> int:
        """Return which of the steps' actions hold at a step."""
        return min(step, len(self.actions) - 1)

    def start_nodes(self, start: Array) -> tuple[Integers, Integers]:
        """Return observations (as places in ``moves.codes``) that patients start with, and the node of each."""
        half = len(start) // 2
        both = np.stack([start[self.moves.codes], start[half + self.moves.codes]])
        places = np.flatnonzero(both.any(axis=0))
        beliefs = both[1, places] / both[:, places].sum(axis=0)
        nodes = [node_for(belief, self.grid, self.plans[0, place]) for place, belief in zip(places, beliefs.tolist(), strict=True)]
        return places, np.array(nodes)


def leads_to(problem: Problem, moves: Moves, grid: Array, plans: Array, actions: Integers) -> tuple[Any, Any, Integers]:
    """Return, for both classes, the matrices from nodes to the next step's nodes, (nodes, nodes), and each node's pair."""
    pairs = (np.arange(len(moves.codes))[:, None] * problem.actions + actions).ravel()
    begin = np.concatenate([[0], np.cumsum(moves.first[pairs + 1] - moves.first[pairs])])
    nodes, likely = np.empty(begin[-1], dtype=np.int64), np.empty((begin[-1], 2))
    loop = kernels(jit_enabled())["trace"]
    loop(moves.first, moves.to, moves.p, grid, plans, actions, problem.actions, begin, nodes, likely)
    shape = (len(pairs), len(pairs))
    first, second = (sparse.csr_matrix((likely[:, k], nodes, begin), shape=shape) for k in range(2))
    return first, second, pairs


def best_controller(problem: Problem, points: int, progress: Count = None) -> Controller:
    """Return the best plans on a grid of beliefs: to the deadline, or for ever."""
    moves, grid = Moves.of(problem), belief_grid(points)
    plans = np.zeros((len(moves.codes), points, 2))
    course: list[Array] = [plans]
    acts: list[Integers] = []
    for _ in range(problem.horizon or 0):
        plans, actions = improved(problem, moves, grid, plans)
        course.insert(0, plans)
        acts.insert(0, actions)
        if progress is not None:
            progress(1)
    if problem.horizon is None:
        plans, actions = settled(problem, moves, grid, plans, progress)
        course, acts = [plans, plans], [actions]
    return Controller(moves=moves, grid=grid, plans=np.stack(course), actions=np.stack(acts))


def improved(problem: Problem, moves: Moves, grid: Array, plans: Array) -> tuple[Array, Integers]:
    """Return the best plans one step earlier, and their first actions."""
    better, actions = np.empty_like(plans), np.zeros(plans.shape[:2], dtype=np.int64)
    loop = kernels(jit_enabled())["improve"]
    loop(moves.first, moves.to, moves.p, moves.earned, grid, problem.discount, plans, better, actions, TIE)
    return better, actions


def settled(problem: Problem, moves: Moves, grid: Array, plans: Array, progress: Count) -> tuple[Array, Integers]:
    """Return plans that go on for ever: improved and followed for a while as they are, in turn, and then improved only."""
    for _ in range(ROUNDS):
        better, actions = improved(problem, moves, grid, plans)
        *matrices, pairs = leads_to(problem, moves, grid, plans, actions)
        flat, earned = better.reshape(-1, 2).copy(), moves.earned[pairs]
        for _ in range(SWEEPS):
            for k in range(2):
                flat[:, k] = earned[:, k] + problem.discount * (matrices[k] @ flat[:, k])
        plans = flat.reshape(plans.shape)
        if progress is not None:
            progress(1)
    for _ in range(LAST_SWEEPS):
        plans, actions = improved(problem, moves, grid, plans)
        if progress is not None:
            progress(1)
    return plans, actions


def upper_bound(problem: Problem, points: int, tolerance: float = 1e-7) -> float:
    """Return a value that no policy without knowledge of the class can exceed."""
    moves, grid = Moves.of(problem), belief_grid(points)
    loop = kernels(jit_enabled())["raise_bound"]
    bound = np.zeros((len(moves.codes), points)) if problem.horizon is not None else np.ones((len(moves.codes), points))
    for _ in range(problem.horizon or MOST_SWEEPS):
        raised = np.empty_like(bound)
        loop(moves.first, moves.to, moves.p, moves.earned, grid, problem.discount, bound, raised)
        change, bound = float(np.abs(raised - bound).max()), raised
        if problem.horizon is None and change < tolerance:
            break
    half = problem.states // 2
    both = np.stack([problem.task.start[moves.codes], problem.task.start[half + moves.codes]])
    places = np.flatnonzero(both.any(axis=0))
    share = both[:, places].sum(axis=0)
    values = [np.interp(both[1, k] / share[i], grid, bound[k]) for i, k in enumerate(places)]
    return float(share @ np.array(values))


def controller_value(problem: Problem, controller: Controller) -> Exact:
    """Return what a controller is worth, by following the distribution of patients over its nodes while they are watched."""
    moves, half = controller.moves, problem.states // 2
    places, nodes = controller.start_nodes(problem.task.start)
    there = np.zeros((len(moves.codes) * len(controller.grid), 2))
    first_nodes = places * len(controller.grid) + nodes
    there[first_nodes, 0] = problem.task.start[moves.codes[places]]
    there[first_nodes, 1] = problem.task.start[half + moves.codes[places]]
    tally, discount, known = Tally(problem), 1.0, -1
    for step in range(problem.task.horizon_steps):
        k = controller.at(step)
        if k != known:
            *matrices, pairs = leads_to(problem, moves, controller.grid, controller.plans[k + 1], controller.actions[k])
            matrices, known = [matrix.T.tocsr() for matrix in matrices], k
        chosen = np.zeros((problem.states, problem.actions))
        for c in range(2):
            counted = np.bincount(pairs, weights=there[:, c], minlength=len(moves.first) - 1)
            chosen[c * half + moves.codes] = counted.reshape(len(moves.codes), problem.actions)
        tally.add(chosen.sum(axis=1), chosen, problem.arrive.T @ chosen.ravel(), discount)
        discount *= problem.discount
        there = np.column_stack([matrix @ there[:, c] for c, matrix in enumerate(matrices)])
        if there.sum() < NOBODY:
            break
    return tally.result(still_there=float(there.sum()))
