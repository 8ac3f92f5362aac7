"""The best that can be done for patients one of whose traits nobody knows: act by what is seen and by the belief about the trait."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.core.tabular import TabularModel, TabularTask
from medsim.core.vector import PatientVectorEnv
from medsim.evaluation.belief import Controller, belief_after, best_controller, controller_value, node_for
from medsim.evaluation.exact import Exact, Problem
from medsim.policies.table import codes_by

__all__ = ["BeliefPolicy"]

_solved: dict[tuple[Any, ...], Controller] = {}


class BeliefPolicy:
    """Carries out the best plans on a grid of beliefs, which are solved for the environment at its first use.

    Args:
        points: of the grid; more cost time in proportion.
    """

    name = "pomdp"
    options: Mapping[str, Any] = {}

    def __init__(self, points: int = 129) -> None:
        self.points = points

    def controller(self, task: TabularTask, discount: float | None = None, progress: Callable[[int], None] | None = None) -> Controller:
        """Return the plans for a task, solved once for each model, horizon, start and discount."""
        problem = Problem(task, discount)
        key = (model_mark(task.tables), task.settings, problem.discount, self.points)
        if key not in _solved:
            _solved[key] = best_controller(problem, self.points, progress)
        return _solved[key]

    def exact(self, task: TabularTask, discount: float | None = None, progress: Callable[[int], None] | None = None) -> Exact:
        """Return what the policy is worth."""
        return controller_value(Problem(task, discount), self.controller(task, discount, progress))

    def begin(self, env: PatientVectorEnv) -> None:
        """Solve, and wait for the first observations."""
        assert isinstance(env.task, TabularTask)
        self.task, self.plan = env.task, self.controller(env.task)
        self.code_of = codes_by(env.task, "index")
        self.place = np.zeros(env.task.tables.states // 2, dtype=np.int64)
        self.place[self.plan.moves.codes] = np.arange(len(self.plan.moves.codes))
        self.nodes: list[int] = []
        self.places: list[int] = []
        self.step = 0

    def act(self, observations: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the plans' actions."""
        places = self.place[self.code_of(observations)].tolist()
        if self.step == 0:
            begun = dict(zip(*(part.tolist() for part in self.plan.start_nodes(self.task.start)), strict=True))
            self.nodes = [begun[place] for place in places]
        else:
            self.nodes = [self.after(k, place) for k, place in enumerate(places)]
        self.places = places
        actions = self.plan.actions[self.plan.at(self.step), places, self.nodes]
        self.step += 1
        return np.asarray(actions, dtype=np.int64)

    def after(self, k: int, place: int) -> int:
        """Return the node of patient k who is seen at a place; one whose course is over stays where they were."""
        moves, before = self.plan.moves, self.plan.at(self.step - 1)
        count = len(moves.earned) // len(moves.codes)
        pair = self.places[k] * count + int(self.plan.actions[before, self.places[k], self.nodes[k]])
        links = np.arange(moves.first[pair], moves.first[pair + 1])
        seen = links[moves.to[links] == place]
        if len(seen) == 0:
            return self.nodes[k]
        belief = belief_after(self.plan.grid[self.nodes[k]], *moves.p[seen[0]].tolist())
        return node_for(belief, self.plan.grid, self.plan.plans[before + 1, place])


def model_mark(model: TabularModel) -> tuple[Any, ...]:
    """Return what tells a model from others."""
    make, arguments = model.made_by
    return (make.__name__, *arguments)
