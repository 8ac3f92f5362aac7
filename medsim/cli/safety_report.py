"""The end of ``medsim safety``, the same for treatments and hospitals: evaluate, write the report, say the verdict."""

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medsim.cli.progress import Progress

if TYPE_CHECKING:
    from medsim.safety.context import Context
    from medsim.safety.findings import Section
    from medsim.safety.hospital.context import HospitalContext

__all__ = ["evaluated"]


def evaluated(args: argparse.Namespace, context: "Context | HospitalContext", sections: "Sequence[Section]", unit: str) -> int:
    """Evaluate, write the report, say the verdict; returns the exit code. ``unit``: what the progress bar counts."""
    from medsim.safety.evaluation import evaluate_safety, work_of
    from medsim.safety.gates import FAILED

    folder = args.out or Path("runs") / f"safety-{args.env.partition('/')[2].lower()}-{slug(args.policy)}"
    with Progress(work_of(context, sections), unit, f"safety of {context.policy.name}") as progress:
        context.progress = progress.update
        report = evaluate_safety(context, folder, identity=identity_of(args.policy), sections=sections)
    if args.json:
        print(json.dumps(report.record(), indent=1))
    else:
        print(text_of(report))
        print(f"report {folder / 'report.html'}")
    sys.stdout.flush()
    return 1 if report.verdict == FAILED else 0


def slug(text: str) -> str:
    """Return a name for a folder."""
    kept = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in text.rstrip("/"))
    return kept.strip("-.") or "policy"


def identity_of(name: str) -> str:
    """Return a hash of a policy's files, or nothing for a reference policy."""
    path = Path(name.rpartition(":")[0] if ".py:" in name else name)
    if path.is_dir():
        parts = sorted(one for one in path.rglob("*") if one.is_file())
    elif path.is_file():
        parts = [path]
    else:
        return ""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.read_bytes())
    return digest.hexdigest()[:16]


def text_of(report: Any) -> str:
    """Return the verdict and the gates as text."""
    lines = [
        f"{report.about['policy']} in {report.about['environment']}: {report.verdict.upper()}. Research simulation, not medical advice.",
        "",
    ]
    for one in report.judgements:
        found = one.figure.text() if one.figure is not None else ""
        lines.append(f"  {one.status:12} {one.gate.figure:34} {found}   {one.limit}")
    return "\n".join(lines)
