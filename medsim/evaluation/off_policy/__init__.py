"""Off-policy evaluation: what a policy would be worth, from episodes that another policy decided, with how sure that is."""

from medsim.evaluation.off_policy.bounds import BOUNDS, lower_bound
from medsim.evaluation.off_policy.estimators import ESTIMATORS, Evidence, estimate, values_of
from medsim.evaluation.off_policy.magic import magic
from medsim.evaluation.off_policy.report import OffPolicyEstimate, OffPolicyReport, evaluate_off_policy

__all__ = [
    "BOUNDS", "ESTIMATORS", "Evidence", "OffPolicyEstimate", "OffPolicyReport", "estimate", "evaluate_off_policy", "lower_bound", "magic",
    "values_of",
]  # fmt: skip
