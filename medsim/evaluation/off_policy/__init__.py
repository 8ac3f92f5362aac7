"""Off-policy evaluation: what a policy would be worth, from episodes that another policy decided, with how sure that is."""

from medsim.evaluation.off_policy.bounds import BOUNDS, lower_bound
from medsim.evaluation.off_policy.estimators import ESTIMATORS, Evidence, estimate, values_of
from medsim.evaluation.off_policy.evidence import can_be_counted, evidence_of, value_model
from medsim.evaluation.off_policy.logged import logged_evidence, probabilities_under
from medsim.evaluation.off_policy.magic import magic
from medsim.evaluation.off_policy.report import OffPolicyEstimate, OffPolicyReport, evaluate_off_policy
from medsim.evaluation.off_policy.tables import table_evidence
from medsim.evaluation.off_policy.truth import Truth, exact_value, true_value

__all__ = [
    "BOUNDS", "ESTIMATORS", "Evidence", "OffPolicyEstimate", "OffPolicyReport", "Truth", "can_be_counted", "estimate",
    "evaluate_off_policy", "evidence_of", "exact_value", "logged_evidence", "lower_bound", "magic", "probabilities_under",
    "table_evidence", "true_value", "value_model", "values_of",
]  # fmt: skip
