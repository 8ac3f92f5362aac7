"""From result records to the rows of a leaderboard.

A *board* is one environment as judged once: suite, environment, settings and evaluation (which patients). A
*row* is one policy on it, over all its seeds. How each figure of a row is made:

- The score is the interquartile mean (IQM) over seeds x patients of the normalised score: the floor has mean
  0, the ceiling mean 1. Where episodes end in one of a few returns (alive or dead) the middle half is the same
  for everybody, and the score is the mean. Returns, costs and metrics are means over seeds x patients; outcomes are shares of
  patients.
- Intervals are 95 % percentile intervals of a bootstrap that draws anew, in each repetition, the seeds of
  every policy (with replacement, whole seeds, each policy on its own) and the patients (with replacement, one
  draw for all policies of the board, since all met the same patients). They speak of other training seeds and
  of other patients both.
- Two rows are told apart where the interval of the difference of their scores leaves out zero, in the same
  repetitions, so that what the patients share cancels. From this follow the verdicts, the ranges of ranks and
  the letters: rows that share a letter cannot be told apart. More or less harm is told from the mean total
  cost in the same way. Nothing corrects for the number of pairs.
- The probability of improvement is the chance that a seed of the policy does better than a seed of the
  other (the protocol, or each other policy) for the same patient, ties counted half.
- A performance profile is the share of seeds x patients whose normalised score is above each of some scores.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations, pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medsim.evaluation.statistics import (
    Statistic,
    indistinguishable_groups,
    interquartile_mean,
    mean,
    paired_bootstrap,
    pairwise_signs,
    percentile_interval,
    performance_profile,
    probability_of_improvement,
    probability_of_improvement_interval,
    rank_ranges,
)
from medsim_agents.leaderboard.records import Record, Role, SettingsFrom, Submission, Time

__all__ = ["Board", "CurveBand", "Estimate", "Harm", "ProfilePoint", "Row", "Run", "Verdict", "leaderboard"]

FloatArray = NDArray[np.float64]
Verdict = Literal["better", "worse", "cannot be told apart"]
Harm = Literal["less harm", "more harm", "cannot be told apart"]

_REPETITIONS = 2000  # chosen: bounds move by about 1/20 of an interval's width between seeds
_CONFIGURATION: tuple[Literal["env", "settings", "policy", "steps", "hyperparameters"], ...] = (
    *("env", "settings", "policy"),
    *("steps", "hyperparameters"),
)
_FEW_RETURNS = 0.1  # chosen: of all or nothing is a board that has at most so many different returns a patient; others have one or more
_OF_PROFILES = 300  # chosen: a band of a figure is looked at, not read off
_PROFILE_SCORES = tuple(k / 20 for k in range(-10, 31))  # chosen: half a scale below the floor to half a scale above the ceiling


@dataclass(frozen=True, kw_only=True, order=True)
class Board:
    """One environment as judged once; ``settings`` is JSON, ``evaluation_seed`` draws the patients."""

    suite: str
    env: str
    settings: str
    cohort: str
    patients: int
    evaluation_seed: int


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class CurveBand:
    """A point of a learning curve: mean return (mean over seeds, lowest and highest seed) and mean cost."""

    step: int
    return_mean: float
    return_low: float
    return_high: float
    cost_mean: float


@dataclass(frozen=True, kw_only=True)
class ProfilePoint:
    """A point of a performance profile: the share of seeds x patients whose normalised score is above ``score``."""

    score: float
    share: Estimate


@dataclass(frozen=True, kw_only=True)
class Run:
    """One seed of a row: what to type to run it again, and where it ran."""

    id: str
    seed: int
    command: str
    commit: str
    versions: dict[str, str]
    hardware: str
    time: Time


@dataclass(frozen=True, kw_only=True)
class Row:
    """One policy on one board; what compares it with floor or protocol is None for these themselves."""

    board: Board
    policy: str
    kind: Literal["agent", "reference"]
    role: Role
    steps: int
    score: Estimate
    statistic: Literal["interquartile mean", "mean"]  # that the score is
    group: str
    ranks: tuple[int, int]
    against_floor: Verdict | None
    against_protocol: Verdict | None
    improvement_over_protocol: Estimate | None
    harm_against_protocol: Harm | None
    mean_return: Estimate
    cost: Estimate
    costs: dict[str, Estimate]
    outcomes: dict[str, float]
    metrics: dict[str, float]
    curve: tuple[CurveBand, ...]
    profile: tuple[ProfilePoint, ...]
    better_than: dict[str, Estimate]  # each other policy -> chance of doing better for the same patient
    hyperparameters: dict[str, object]
    configuration: str  # 12 hex digits: environment, its settings, policy, steps and hyperparameters
    settings_from: SettingsFrom | None
    submission: Submission | None
    runs: tuple[Run, ...]

    @property
    def seeds(self) -> int:
        """How many seeds were run."""
        return len(self.runs)

    @property
    def wall_s(self) -> float:
        """Mean time of a run, training and evaluation."""
        return sum(run.time["wall_s"] for run in self.runs) / len(self.runs)


def leaderboard(records: Iterable[Record], *, repetitions: int = _REPETITIONS, seed: int = 0) -> list[Row]:
    """Rows of every board, boards in alphabetical order, the plain settings and the highest score first.

    Records that cannot stand in one row or on one board raise `ValueError`: a seed twice, seeds that differ
    in role, steps or hyperparameters, policies with different costs or metrics.
    """
    boards: dict[Board, dict[str, list[Record]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        boards[_board(record)][record["job"]["policy"]].append(record)
    rows: list[Row] = []
    for board in sorted(boards, key=lambda b: (b.suite, b.env, b.settings != "{}", b)):
        policies = {name: sorted(group, key=lambda record: record["job"]["seed"]) for name, group in sorted(boards[board].items())}
        _check_comparable(board, policies)
        rows += sorted(_rows(board, policies, repetitions, seed), key=lambda row: -row.score.value)
    return rows


def _board(record: Record) -> Board:
    job, evaluation = record["job"], record["job"]["evaluation"]
    return Board(
        suite=job["suite"],
        env=job["env"],
        settings=json.dumps(job["settings"], sort_keys=True),
        cohort=evaluation["cohort"],
        patients=evaluation["patients"],
        evaluation_seed=evaluation["seed"],
    )


def _check_comparable(board: Board, policies: dict[str, list[Record]]) -> None:
    for policy, records in policies.items():
        for earlier, later in pairwise(records):
            _check_one_configuration(f"{board.env}, {policy}", earlier, later)
    results = [record["result"] for records in policies.values() for record in records]
    for field, keys in (
        ("costs", {tuple(sorted(result["costs"])) for result in results}),
        ("metrics", {tuple(sorted(result["metrics"])) for result in results}),
    ):
        if len(keys) > 1:
            raise ValueError(f"{board.env}: policies have {field} {sorted(keys)}; allowed: one set a board")


def _check_one_configuration(where: str, earlier: Record, later: Record) -> None:
    one, other = earlier["job"], later["job"]
    jobs = f"{where}: jobs {one['id']} and {other['id']}"
    if one["seed"] == other["seed"]:
        raise ValueError(f"{jobs} both have seed {one['seed']}; allowed: a seed once a row")
    for field, mine, theirs in (
        ("role", earlier["role"], later["role"]),
        ("steps", one["steps"], other["steps"]),
        ("hyperparameters", one["hyperparameters"], other["hyperparameters"]),
        ("submission", earlier.get("submission"), later.get("submission")),
    ):
        if mine != theirs:
            raise ValueError(f"{jobs} have {field} {mine} and {theirs}; allowed: the same in a row")


# The figures of one board


def _rows(board: Board, policies: dict[str, list[Record]], repetitions: int, seed: int) -> list[Row]:
    groups = list(policies.values())
    everything = [record for records in groups for record in records]
    estimates = partial(_estimates, groups, repetitions=repetitions, seed=seed)
    few = len({value for record in everything for value in record["result"]["normalised"]}) <= _FEW_RETURNS * board.patients
    scores, signs = estimates(lambda record: record["result"]["normalised"], mean if few else interquartile_mean)
    returns, _ = estimates(lambda record: record["result"]["returns"], mean)
    totals, harm = estimates(lambda record: record["result"]["cost"], mean)
    costs = {name: estimates(partial(_cost, name=name), mean)[0] for name in everything[0]["result"]["costs"]}
    floor, protocol = _bar(groups, scores, "floor"), _bar(groups, scores, "protocol")
    letters, ranks = indistinguishable_groups(signs), rank_ranges(signs)
    chances, profiles = _chances(groups, protocol, repetitions, seed), _profiles(groups, min(repetitions, _OF_PROFILES), seed)
    names = list(policies)
    outcomes = sorted({name for record in everything for name in record["result"]["outcomes"]})
    return [
        Row(
            board=board,
            policy=policy,
            kind=records[0]["job"]["kind"],
            role=records[0]["role"],
            steps=records[0]["job"]["steps"],
            score=scores[k],
            statistic="mean" if few else "interquartile mean",
            group=letters[k],
            ranks=ranks[k],
            against_floor=_verdict(signs, k, floor),
            against_protocol=_verdict(signs, k, protocol),
            improvement_over_protocol=None if protocol is None or k == protocol else chances[k][protocol],
            harm_against_protocol=_harm(harm, k, protocol),
            mean_return=returns[k],
            cost=totals[k],
            costs={name: found[k] for name, found in costs.items()},
            outcomes=_shares(records, outcomes),
            metrics=_metrics(records),
            curve=_curve(records),
            profile=profiles[k],
            better_than={names[other]: chance for other, chance in chances[k].items()},
            hyperparameters=dict(records[0]["job"]["hyperparameters"]),
            configuration=_configuration(records[0]),
            settings_from=records[0].get("settings_from"),
            submission=records[0].get("submission"),
            runs=tuple(_run(record) for record in records),
        )
        for k, (policy, records) in enumerate(policies.items())
    ]


def _estimates(
    groups: list[list[Record]],
    figures: Callable[[Record], Sequence[float]],
    statistic: Statistic,
    repetitions: int,
    seed: int,
) -> tuple[list[Estimate], NDArray[np.int8]]:
    """The statistic of each policy, and which of two is larger where it can be told."""
    matrices = [np.array([figures(record) for record in records], dtype=float) for records in groups]
    replicates = paired_bootstrap(matrices, statistic, repetitions=repetitions, seed=seed)
    bounds = percentile_interval(replicates).T
    found = [_estimate(statistic(m), interval) for m, interval in zip(matrices, bounds, strict=True)]
    return found, pairwise_signs(replicates)


def _cost(record: Record, name: str) -> Sequence[float]:
    return record["result"]["costs"][name]


def _estimate(value: FloatArray | float, interval: FloatArray) -> Estimate:
    return Estimate(value=float(value), low=float(interval[0]), high=float(interval[1]))


def _bar(groups: list[list[Record]], scores: list[Estimate], role: Role) -> int | None:
    """Whom others are held against: the random policy if it has the role, else the best that has it."""
    candidates = [k for k, records in enumerate(groups) if records[0]["role"] == role]
    return max(candidates, key=lambda k: (groups[k][0]["job"]["policy"] == "random", scores[k].value), default=None)


def _verdict(signs: NDArray[np.int8], row: int, bar: int | None) -> Verdict | None:
    if bar is None or row == bar:
        return None
    verdicts: dict[int, Verdict] = {1: "better", -1: "worse", 0: "cannot be told apart"}
    return verdicts[int(signs[row, bar])]


def _harm(signs: NDArray[np.int8], row: int, bar: int | None) -> Harm | None:
    if bar is None or row == bar:
        return None
    verdicts: dict[int, Harm] = {1: "more harm", -1: "less harm", 0: "cannot be told apart"}
    return verdicts[int(signs[row, bar])]


def _chances(groups: list[list[Record]], protocol: int | None, repetitions: int, seed: int) -> list[dict[int, Estimate]]:
    """For each policy and each other one: the chance that it does better for the same patient. What is drawn for a pair is drawn for
    that against the protocol, where it is one of them, and mirrored."""
    matrices = [np.array([r["result"]["normalised"] for r in records], dtype=float) for records in groups]
    found: list[dict[int, Estimate]] = [{} for _ in groups]
    for pair in combinations(range(len(groups)), 2):
        one, other = pair[::-1] if pair[0] == protocol else pair
        ours, theirs = matrices[one], matrices[other]
        bounds = probability_of_improvement_interval(ours, theirs, paired=True, repetitions=repetitions, seed=seed)
        interval = np.clip(bounds, 0.0, 1.0)  # sums of shares may be above 1 by rounding
        found[one][other] = _estimate(probability_of_improvement(ours, theirs), interval)
        found[other][one] = _estimate(1 - found[one][other].value, 1 - interval[::-1])
    return found


def _profiles(groups: list[list[Record]], repetitions: int, seed: int) -> list[tuple[ProfilePoint, ...]]:
    """The performance profile of each policy."""
    matrices = [np.array([r["result"]["normalised"] for r in records], dtype=float) for records in groups]

    def shares(scores: FloatArray) -> FloatArray:
        return performance_profile(scores, _PROFILE_SCORES)

    bounds = percentile_interval(paired_bootstrap(matrices, shares, repetitions=repetitions, seed=seed))  # (2, policies, scores)
    return [
        tuple(
            ProfilePoint(score=score, share=_estimate(value, bounds[:, row, place]))
            for place, (score, value) in enumerate(zip(_PROFILE_SCORES, shares(matrix).tolist(), strict=True))
        )
        for row, matrix in enumerate(matrices)
    ]


def _configuration(record: Record) -> str:
    job = record["job"]
    decided = {name: job[name] for name in _CONFIGURATION}
    return hashlib.sha256(json.dumps(decided, sort_keys=True).encode()).hexdigest()[:12]


def _shares(records: list[Record], outcomes: list[str]) -> dict[str, float]:
    """Share of patients by outcome, over seeds; zero for what only other policies of the board met."""
    patients = sum(len(record["result"]["returns"]) for record in records)
    return {name: sum(r["result"]["outcomes"].get(name, 0) for r in records) / patients for name in outcomes}


def _metrics(records: list[Record]) -> dict[str, float]:
    metrics = [record["result"]["metrics"] for record in records]
    return {name: float(np.mean([values[name] for values in metrics])) for name in metrics[0]}


def _curve(records: list[Record]) -> tuple[CurveBand, ...]:
    """The steps that all seeds looked at, with the mean and the range over seeds."""
    curves = [{point["step"]: point for point in record["learning_curve"]} for record in records]
    bands = []
    for step in sorted(set.intersection(*(set(curve) for curve in curves))):
        returns = [curve[step]["return_mean"] for curve in curves]
        costs = [curve[step]["cost_mean"] for curve in curves]
        band = CurveBand(
            step=step,
            return_mean=float(np.mean(returns)),
            return_low=min(returns),
            return_high=max(returns),
            cost_mean=float(np.mean(costs)),
        )
        bands.append(band)
    return tuple(bands)


def _run(record: Record) -> Run:
    machine = record["hardware"]
    cores = f"{machine['cores']} core" + ("s" if machine["cores"] != 1 else "")
    return Run(
        id=record["job"]["id"],
        seed=record["job"]["seed"],
        command=record["command"],
        commit=record["commit"],
        versions=dict(sorted(record["versions"].items())),
        hardware=", ".join([machine["cpu"], cores, machine["gpu"] or "no GPU"]),
        time=record["time"],
    )
