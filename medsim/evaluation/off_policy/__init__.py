"""Off-policy evaluation: what a policy would be worth, from episodes that another policy decided, with how sure that is."""

from medsim.evaluation.off_policy.bounds import BOUNDS, lower_bound
from medsim.evaluation.off_policy.estimators import ESTIMATORS, Evidence, estimate, values_of
from medsim.evaluation.off_policy.logged import logged_evidence, probabilities_under
from medsim.evaluation.off_policy.magic import magic
from medsim.evaluation.off_policy.report import OffPolicyEstimate, OffPolicyReport, evaluate_off_policy
from medsim.evaluation.off_policy.tables import table_evidence

__all__ = [
    "BOUNDS", "ESTIMATORS", "Evidence", "OffPolicyEstimate", "OffPolicyReport", "estimate", "evaluate_off_policy", "logged_evidence",
    "lower_bound", "magic", "probabilities_under", "table_evidence", "values_of",
]  # fmt: skip
