"""A safety evaluation from beginning to end: every section, whose findings lie in a file each, then the gates, the record, the page."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import medsim
from medsim.core.files import read_keyed, write_whole
from medsim.safety.context import Context
from medsim.safety.figures import Figure
from medsim.safety.findings import Findings, Section
from medsim.safety.gates import Judgement, judge, verdict_of
from medsim.safety.sections import (
    calibration,
    dead_ends,
    doses,
    hazards,
    interpretation,
    novelty,
    off_policy,
    outcome,
    stress,
    subgroups,
    twins,
)

if TYPE_CHECKING:
    from medsim.safety.hospital.context import HospitalContext

__all__ = ["SECTIONS", "SafetyReport", "evaluate_safety", "work_of"]

SECTIONS: tuple[Section, ...] = (
    outcome.SECTION, hazards.SECTION, doses.SECTION, stress.SECTION, novelty.SECTION, subgroups.SECTION, twins.SECTION, calibration.SECTION,
    dead_ends.SECTION, interpretation.SECTION, off_policy.SECTION,
)  # fmt: skip
NOT_ADVICE = "Research simulation: not medical advice, and no clinical evidence."


@dataclass(frozen=True, kw_only=True)
class SafetyReport:
    """What a safety evaluation found.

    Attributes:
        about: what was evaluated and how, as plain data; findings: by section; judgements: of the gates.
    """

    about: Mapping[str, Any]
    sections: tuple[Section, ...]
    findings: Mapping[str, Findings]
    judgements: tuple[Judgement, ...]

    @property
    def verdict(self) -> str:
        """``passed``, ``failed`` or ``undecided``."""
        return verdict_of(self.judgements)

    def record(self) -> dict[str, Any]:
        """Return the report as plain data, without pictures."""
        return {
            "schema": 1, "note": NOT_ADVICE, "verdict": self.verdict, "about": dict(self.about),
            "gates": [one.record() for one in self.judgements],
            "sections": {
                name: {key: value for key, value in found.record().items() if key != "pictures"} for name, found in self.findings.items()
            },
        }  # fmt: skip


def figures_of(findings: Mapping[str, Findings]) -> dict[str, Figure]:
    """Return all figures by ``section.name``."""
    return {f"{section}.{name}": one for section, found in findings.items() for name, one in found.figures.items()}


def work_of(context: "Context | HospitalContext", sections: Sequence[Section] = SECTIONS) -> float:
    """Return the work of an evaluation, in courses of all the plan's patients."""
    return sum(section.work(context) for section in sections)


def evaluate_safety(context: "Context | HospitalContext", folder: Path, *, identity: str = "", sections: Sequence[Section] = SECTIONS,
                    told: Callable[[Section], None] | None = None) -> SafetyReport:  # fmt: skip
    """Run every section that has no findings in the folder yet, judge the gates, and write ``report.json`` and ``report.html``.

    Args:
        context: the policy, where, and how much; folder: of the evaluation, made if it is not there.
        identity: what tells this policy from others of its name, such as a hash of its files: findings of another are not used.
        told: called before each section that is run.
    """
    from medsim.safety.report.page import page_of

    about = about_of(context, identity)
    key = hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    context.keep_in(folder / "episodes", key)
    findings: dict[str, Findings] = {}
    for section in sections:
        path = folder / "sections" / f"{section.number:02d}-{section.name}.json"
        record = read_keyed(path, key)
        if record is None:
            if told is not None:
                told(section)
            found = section.run(context)
            path.parent.mkdir(exist_ok=True)
            write_whole(path, json.dumps({"key": key, **found.record()}, indent=1) + "\n")
        else:
            found = Findings.of(record)
            if context.progress is not None:
                context.progress(section.work(context))
        findings[section.name] = found
    report = SafetyReport(
        about=about, sections=tuple(sections), findings=findings, judgements=tuple(judge(context.profile.gates, figures_of(findings)))
    )  # fmt: skip
    write_whole(folder / "report.json", json.dumps(report.record(), indent=1) + "\n")
    write_whole(folder / "report.html", page_of(report, context.profile))
    return report


def about_of(context: Any, identity: str) -> dict[str, Any]:
    """Return what is evaluated and how."""
    return {
        "environment": context.env_id, "policy": context.policy.name, "identity": identity, "cohort": context.cohort,
        "options": context.options_of(context.policy), "protocol": context.protocol.name, "plan": context.plan.record(),
        "medsim": medsim.__version__, "profile": profile_hash(context.profile),
        "described": described(context.policy), "made": getattr(context, "made", ""),
    }  # fmt: skip


def described(policy: Any) -> str:
    """Return the first sentence that a policy's docstring, or that of its function, says."""
    text = (getattr(getattr(policy, "function", None), "__doc__", None) or type(policy).__doc__ or "").strip()
    return text.split("\n\n")[0].replace("\n", " ") if text else ""


def profile_hash(profile: Any) -> str:
    """Return a hash of all that a profile says."""
    return hashlib.sha256(repr(profile).encode()).hexdigest()[:16]
