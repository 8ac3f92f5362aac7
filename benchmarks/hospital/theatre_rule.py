"""Search the rule ``searched`` of ``medsim/Theatre-v0`` on training episodes, which are none of those that policies are evaluated on.

    python benchmarks/hospital/theatre_rule.py

Every rule of a grid plays the same episodes (seed 1, slots 0 to 149), then variants of the six best; of all these the twenty best play the
slots 0 to 1999, and are printed with the standard errors of their differences to the best.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations, product

import numpy as np

from medsim.hospital.evaluation import play_episode
from medsim.hospital.shells import HospitalShell
from medsim.hospital.theatre import theatre_task
from medsim.hospital.theatre.kinds import ELECTIVES, KINDS
from medsim.policies.theatre import LIST, Rule, RulePolicy

SEED = 1  # that of training; evaluation has another
GAPS_H = (0.0, 0.75, 1.5)


def rules() -> Iterator[Rule]:
    """Yield the grid."""
    lists = [*permutations(ELECTIVES), (LIST,)]
    holds = [(0, 0.0, 0.0), *((1, until, gap) for until, gap in product((3.0, 6.0), GAPS_H))]
    for electives in lists:
        for order in ((0, 1, 2, *electives), (0, 1, *electives, 2), (0, *electives, 1, 2)):
            for keep, until_h, gap_h in holds:
                yield Rule(order=order, keep=keep, until_h=until_h, gap_h=gap_h)


def refined(rule: Rule) -> Iterator[Rule]:
    """Yield a rule with other margins, and if it keeps a room, with other conditions for that."""
    for slack, late_h in ((-10.0, 24.0), (0.5, 24.0), (1.0, 24.0), (-10.0, 8.0), (-10.0, 7.0)):
        yield replace(rule, slack=slack, late_h=late_h)
    if rule.keep:
        for until_h, gap_h in product((2.0, 3.0, 4.0, 5.0), (1.0, 1.5, 2.0, 2.5)):
            yield replace(rule, until_h=until_h, gap_h=gap_h)


def returns_of(rule: Rule, slots: range, shell: HospitalShell) -> np.ndarray:
    """Return a rule's return on each episode."""
    policy = RulePolicy("rule", rule)
    return np.array([sum(play_episode(shell.task, policy, seed=SEED, slot=slot, shell=shell).terms.values()) for slot in slots])


def best_of(candidates: list[Rule], slots: range, count: int, shell: HospitalShell) -> list[tuple[np.ndarray, Rule]]:
    """Return the best rules with their returns, best first."""
    played = [(returns_of(rule, slots, shell), rule) for rule in candidates]
    return sorted(played, key=lambda one: -float(one[0].mean()))[:count]


def named(rule: Rule) -> str:
    """Return a rule with its kinds by name."""
    order = ", ".join("list" if kind == LIST else KINDS[kind].name for kind in rule.order)
    return f"{order}; keep {rule.keep} until {rule.until_h:g} h, gap {rule.gap_h:g} h, slack {rule.slack:g}, late {rule.late_h:g} h"


def main() -> None:
    """Search, and print the twenty best."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=150, help="episodes of the grid")
    parser.add_argument("--second", type=int, default=2000, help="episodes of the twenty best")
    args = parser.parse_args()
    shell = HospitalShell(theatre_task(log_events=False), None)
    grid = best_of(list(rules()), range(args.first), 6, shell)
    finer = best_of(list(dict.fromkeys(variant for _, rule in grid for variant in refined(rule))), range(args.first), 20, shell)
    last = best_of([rule for _, rule in finer], range(args.second), 20, shell)
    for returns, rule in last:
        difference = last[0][0] - returns
        error = difference.std(ddof=1) / np.sqrt(len(difference))
        print(f"{returns.mean():.4f}, {difference.mean():.4f} ({error:.4f}) below the best: {named(rule)}")


if __name__ == "__main__":
    main()
