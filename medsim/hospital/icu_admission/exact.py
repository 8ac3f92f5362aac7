"""What a policy of ``variant="trunk"`` costs, exactly: the long-run cost a day of any table of decisions, and of the best one.

The unit is a chain of as many states as it has beds and one, so a policy's cost needs no simulation, and has no error: it is what an
agent's table is worth, held against admitting everybody (0) and the optimum (1).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.hospital.draws import key_of
from medsim.hospital.icu_admission.model import ADMIT, MASK
from medsim.hospital.icu_admission.settings import TrunkConfig, parsed
from medsim.hospital.policy import FunctionHospitalPolicy, HospitalPolicy
from medsim.hospital.theory.loss import AdmissionOptimum, AdmissionSystem

__all__ = ["admission_system", "exact_cost_rate", "gap_closed", "optimum", "policy_table", "trunk_config"]

Table = npt.NDArray[np.bool_]
NEVER_PER_DAY = 1e-9  # chosen: stands for a class that never comes, as the chain takes rates above 0; one in three million years


def trunk_config(options: dict[str, Any]) -> TrunkConfig:
    """Return the configuration of ``variant="trunk"`` that the options describe.

    Raises:
        ValueError: an option is not allowed, or the variant is another, for which no optimum is known.
    """
    config = parsed(options)
    if not isinstance(config, TrunkConfig):
        raise ValueError(f"exact costs are known for variant='trunk' only, not for {config.variant!r}")
    return config


def admission_system(**options: Any) -> AdmissionSystem:
    """Return the loss system of ``variant="trunk"``; rates and costs are per day. Options as of the environment.

    Raises:
        ValueError: an option is not allowed, or there are no beds.
    """
    config = trunk_config(options)
    return AdmissionSystem(
        beds=int(config.beds),
        arrival_rates=(max(config.emergencies_per_day, NEVER_PER_DAY), max(config.electives_per_day, NEVER_PER_DAY)),
        refusal_costs=(config.emergency_refusal_cost, config.elective_refusal_cost),
        service_rate=1.0 / config.mean_stay_days,
    )


def exact_cost_rate(table: Any, **options: Any) -> float:
    """Return the long-run cost per day of a policy.

    Args:
        table: (beds, 2): whether an emergency (column 0), an elective patient (column 1) is admitted while so many beds are busy; or a
            function of (busy, class). Probabilities are allowed.
        options: of the environment; stays of any distribution count as exponential ones.

    Raises:
        ValueError: the table has another shape, or an option is not allowed.
    """
    return admission_system(**options).evaluate(table).cost_rate


def optimum(**options: Any) -> AdmissionOptimum:
    """Return the policy of least cost, by value iteration: its table, its reserves (r*) and its cost rate."""
    return admission_system(**options).optimum()


def gap_closed(cost_rate: float, **options: Any) -> float:
    """Return the share of the gap between admitting everybody (0) and the optimum (1) that a policy's cost per day closes.

    Raises:
        ValueError: admitting everybody is the optimum, so that there is no gap.
    """
    system = admission_system(**options)
    everybody, best = system.trunk_reservation(0).cost_rate, system.optimum().cost_rate
    if not everybody - best > 1e-9 * everybody:
        raise ValueError(f"admitting everybody costs {everybody:g} a day and is optimal here: there is no gap to close")
    return (everybody - cost_rate) / (everybody - best)


def policy_table(policy: HospitalPolicy | Callable[[str, Any, Any], int], **options: Any) -> Table:
    """Return what a policy decides, (beds, 2), by busy beds and class: True admits.

    Args:
        policy: of hospitals, or a function (agent, what it sees, mask) -> action. It is asked once for each entry, so one that draws, or
            remembers, has no table.
        options: of the environment.
    """
    from medsim.hospital.icu_admission.environment import icu_admission_task

    config = trunk_config(options)
    asked = FunctionHospitalPolicy("function", policy) if callable(policy) else policy
    asked.begin(icu_admission_task(**options), key_of(0))
    beds = int(config.beds)
    table = np.zeros((beds, 2), dtype=np.bool_)
    for busy in range(beds):
        for kind in (0, 1):
            seen = np.array([busy / beds, float(kind == 0), float(kind == 1)], dtype=np.float32)
            table[busy, kind] = asked.act("icu", seen, MASK.copy()) == ADMIT
    return table
