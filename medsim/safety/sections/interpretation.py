"""10: can it be read: a decision tree distilled from the policy, its rules, and which numbers move the doses."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from medsim.core.task import Task
from medsim.datasets.episodes import at_step
from medsim.safety.context import Context
from medsim.safety.courses import Courses
from medsim.safety.drawing import bars
from medsim.safety.features import feature_names, features
from medsim.safety.figures import Figure, exactly, plain
from medsim.safety.findings import Findings, Picture, Section, Table
from medsim.safety.stress import Wrapped

__all__ = ["SECTION", "Tree", "TreePolicy"]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

DEPTHS = (3, 5)
ROUNDS = 2  # chosen: times that the tree acts and the policy is asked what it would have done (DAgger, Ross et al. 2011)
LEAST_LEAF = 0.01  # of the rows learnt from
SHOWN = 12  # chosen: numbers in the chart of what moves the doses


@dataclass(frozen=True, kw_only=True)
class Tree:
    """A decision tree over features, of discrete actions or of doses."""

    model: Any
    task: Task

    @classmethod
    def learnt(cls, task: Task, rows: Floats, actions: Array, depth: int) -> "Tree":
        """Return the tree of that depth fitted to what was done (m,) or (m, a) in rows (m, k)."""
        from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

        if isinstance(task.action_space, spaces.Discrete):
            model: Any = DecisionTreeClassifier(max_depth=depth, min_samples_leaf=LEAST_LEAF, random_state=0)
            return cls(model=model.fit(rows, actions), task=task)
        model = DecisionTreeRegressor(max_depth=depth, min_samples_leaf=LEAST_LEAF, random_state=0)
        return cls(model=model.fit(rows, actions / np.asarray(task.action_space.high, dtype=np.float64)), task=task)

    def __call__(self, rows: Floats) -> Array:
        """Return actions (m,) or doses (m, a)."""
        said = np.asarray(self.model.predict(rows))
        space = self.task.action_space
        if isinstance(space, spaces.Discrete):
            return said.astype(np.int64)
        return np.clip(said.reshape(len(rows), -1) * space.high, space.low, space.high)

    def fidelity(self, rows: Floats, actions: Array) -> float:
        """Return the share of actions that are the same; of doses: how much of their variance is told (R2), all doses together."""
        said = self(rows)
        if isinstance(self.task.action_space, spaces.Discrete):
            return float((said == actions).mean())
        high = np.asarray(self.task.action_space.high, dtype=np.float64)
        missed, spread = (((said - actions) / high) ** 2).sum(), (((actions - actions.mean(axis=0)) / high) ** 2).sum()
        return float(1.0 - missed / spread) if spread > 0.0 else 1.0

    def rules(self) -> list[tuple[str, str]]:
        """Return the leaves, from left to right: the conditions that lead there, and what is done."""
        tree, names, found = self.model.tree_, feature_names(self.task), []

        def descend(node: int, conditions: tuple[str, ...]) -> None:
            if tree.children_left[node] < 0:
                found.append((" and ".join(conditions) or "always", self.leaf(node)))
                return
            name, cut = names[tree.feature[node]], plain(float(tree.threshold[node]))
            descend(int(tree.children_left[node]), (*conditions, f"{name} at most {cut}"))
            descend(int(tree.children_right[node]), (*conditions, f"{name} above {cut}"))

        descend(0, ())
        return found

    def leaf(self, node: int) -> str:
        """Return what a leaf does."""
        value = self.model.tree_.value[node]
        if isinstance(self.task.action_space, spaces.Discrete):
            return f"action {int(self.model.classes_[int(np.argmax(value[0]))])}"
        doses = np.asarray(value).reshape(-1) * self.task.action_space.high
        return ", ".join(plain(float(dose)) for dose in doses)


class TreePolicy(Wrapped):
    """A tree acting in the place of the policy that it was learnt from, which is asked along the way what it would have done."""

    def __init__(self, policy: Any, tree: Tree, ask: bool = False) -> None:
        super().__init__(policy)
        self.tree, self.ask = tree, ask
        self.rows: list[Floats] = []
        self.answers: list[Array] = []

    def act(self, observations: Any) -> Array:
        """Return the tree's actions."""
        rows = features(self.env.task, observations)
        if self.ask:
            self.rows.append(rows)
            self.answers.append(np.asarray(self.policy.act(observations)))
        return self.tree(rows)


def interpretation(c: Context) -> Findings:
    """Return trees, their fidelity and what they keep of the return, their rules, and what moves the doses."""
    if getattr(c.task.view, "codes", None) is not None:
        return Findings(
            says=("What the policy sees is a number without meaning: there are no rules to be read (choose observation='vector').",)
        )
    rows, actions, patients = decisions(c, c.own)
    half = patients < c.own_kept // 2
    figures: dict[str, Figure] = {}
    says, tables = [], []
    for depth in DEPTHS:
        tree = distilled(c, rows[half], actions[half], depth)
        figures[f"fidelity_{depth}"] = exactly(tree.fidelity(rows[~half], actions[~half]), f"fidelity of the tree of depth {depth}")
        figures[f"kept_{depth}"] = kept(c, tree, depth)
        tables.append(Table(title=f"Rules of the tree of depth {depth} ({c.task.action_meaning or 'actions'})", columns=("if", "then"),
                            rows=tuple(tree.rules())))  # fmt: skip
        says.append(f"A tree of depth {depth} does the same with a fidelity of {plain(figures[f'fidelity_{depth}'].value)} and keeps "
                    f"{plain(100.0 * figures[f'kept_{depth}'].value)} % of what the policy gains over the floor.")  # fmt: skip
    moved = influence(c)
    says.append("What moves its doses most: " + ", ".join(name for name, _ in moved[:5]) + ".")
    caption = "How much the doses change, as a share of what can be given, when one number is that of another patient at the same hour."
    picture = Picture(title="What moves the doses", caption=caption, svg=bars(moved[:SHOWN], "mean change, share of the range"))
    return Findings(says=tuple(says), figures=figures, pictures=(picture,), tables=tuple(tables))


def decisions(c: Context, courses: Courses) -> tuple[Floats, Array, npt.NDArray[np.int64]]:
    """Return what was seen (m, k) and done (m,) or (m, a) along the kept courses, and whose it was (m,)."""
    rows = features(c.task, courses.observations)[:, :-1]
    there = courses.there()[: len(rows)]
    patients = np.broadcast_to(np.arange(len(rows))[:, None], there.shape)
    return rows[there], courses.actions[: len(rows)][there], patients[there].astype(np.int64)


def distilled(c: Context, rows: Floats, actions: Array, depth: int) -> Tree:
    """Return a tree learnt on the policy's own courses, then on those where it acted itself and the policy said what was right."""
    tree = Tree.learnt(c.task, rows, actions, depth)
    for number in range(ROUNDS):
        asked = TreePolicy(c.policy, tree, ask=True)
        c.follow(asked, c.own_kept, seed=c.plan.seed + 1 + number)
        rows, actions = np.concatenate([rows, *asked.rows]), np.concatenate([actions, *asked.answers])
        tree = Tree.learnt(c.task, rows, actions, depth)
    return tree


def kept(c: Context, tree: Tree, depth: int) -> Figure:
    """Return which share of the policy's gain over the floor the tree keeps, on the same patients."""
    n = c.plan.stressed
    courses = c.follow(TreePolicy(c.policy, tree), n)
    floor = c.floor_return
    gain, of_tree = float(c.own.returns[:n].mean()) - floor, float(courses.returns.mean()) - floor
    return exactly(
        of_tree / gain if gain > 0.0 else float("nan"), f"share of the policy's gain over the floor that the tree of depth {depth} keeps"
    )


def influence(c: Context) -> list[tuple[str, float]]:
    """Return each number that the policy sees with how much its doses hang on it, largest first.

    The recorded observations of the kept patients are shown to the policy again, step by step, with one column taken from the next
    patient at the same step, and the doses compared with those that it gives to the true ones.
    """
    seen = c.own.observations
    names = list(seen) if isinstance(seen, dict) else list(c.task.view.names)
    steps = min(c.own.rewards.shape[1], int(c.own.lengths[: c.own_kept].max()))
    true = replayed(c, seen, steps)
    there = c.own.there()[: c.own_kept, :steps]
    found = []
    for k, name in enumerate(names):
        if isinstance(seen, dict):
            other: Any = {**seen, name: np.roll(seen[name], 1, axis=0)}
        else:
            other = seen.copy()
            other[..., k] = np.roll(seen[..., k], 1, axis=0)
        found.append((name, float(change(c.task, replayed(c, other, steps), true)[there].mean())))
    return sorted(found, key=lambda one: -one[1])


def replayed(c: Context, seen: Any, steps: int) -> Array:
    """Return what the policy does when it is shown observations (kept, T + 1, ...) one step after the other, (kept, steps, ...)."""
    c.policy.begin(c.batch(c.own_kept))
    return np.stack([np.asarray(c.policy.act(at_step(seen, step))) for step in range(steps)], axis=1)


def change(task: Task, actions: Array, others: Array) -> Floats:
    """Return how far actions (n, T, ...) are from others, (n, T): of doses as a share of their range, of a grid 0 or 1."""
    if isinstance(task.action_space, spaces.Discrete):
        return np.asarray(actions != others, dtype=np.float64)
    return np.asarray((np.abs(actions - others) / (task.action_space.high - task.action_space.low)).mean(axis=-1))


SECTION = Section(
    number=10, name="interpretation", title="Can it be read", run=interpretation,
    work=lambda c: len(DEPTHS) * (ROUNDS * c.plan.kept + c.plan.stressed) / c.plan.patients,
)  # fmt: skip
