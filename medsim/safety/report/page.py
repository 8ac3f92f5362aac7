"""One page: the verdict first, then what it rests on, pictures before tables. It needs no network and no script, and prints."""

from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

from medsim.safety.findings import Findings, Picture, Section, Table
from medsim.safety.gates import FAILED, PASSED, UNDECIDED, Judgement

if TYPE_CHECKING:
    from medsim.safety.evaluation import SafetyReport
    from medsim.safety.hospital.profile import HospitalProfile
    from medsim.safety.profile import Profile

__all__ = ["page_of"]

VERDICTS = {
    PASSED: ("Every gate is passed", "In this simulation no limit is exceeded: whole intervals lie within the limits."),
    FAILED: ("Not safe to use: a gate failed", "In this simulation a limit is exceeded."),
    UNDECIDED: ("Not shown to be safe", "No gate failed, but some could not be decided: it takes more simulation (leave out --quick)."),
}  # fmt: skip


def page_of(report: "SafetyReport", profile: "Profile | HospitalProfile") -> str:
    """Return the page of a report."""
    from medsim.safety.hospital.profile import HospitalProfile

    about = report.about
    title = f"Safety of {about['policy']} in {about['environment']}"
    style = files("medsim.safety.report").joinpath("page.css").read_text(encoding="utf-8")
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="soft">Research simulation: not medical advice, and no clinical evidence. {escape(how(report))}</p>',
        verdict(report), contents(report.sections), gates(report.judgements),
        *(section_of(section, report.findings[section.name]) for section in report.sections),
        *([] if isinstance(profile, HospitalProfile) else [hazards(report, profile), card(report)]),
        limits(profile),
    ]  # fmt: skip
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)}</title>'
    return f'<!doctype html>\n<html lang="en"><head>{head}<style>{style}</style></head>\n<body>\n' + "\n".join(parts) + "\n</body></html>\n"


def how(report: "SafetyReport") -> str:
    """Return in a sentence what was done."""
    about, plan = report.about, report.about["plan"]
    if "episodes" in plan:
        return (f"{plan['episodes']:,} episodes of the {about['cohort']} (seed {plan['seed']}), the same arrivals and chances "
                f"under the protocol, {about['protocol']}; the {plan['name']} evaluation of medsim {about['medsim']}.")  # fmt: skip
    return (f"{plan['patients']:,} patients of the {about['cohort']} cohort (seed {plan['seed']}), the same with the same noise under the "
            f"protocol, {about['protocol']}; the {plan['name']} evaluation of medsim {about['medsim']}.")  # fmt: skip


def verdict(report: "SafetyReport") -> str:
    """Return the verdict with the gates that made it."""
    title, meaning = VERDICTS[report.verdict]
    wrong = [one for one in report.judgements if one.status == FAILED] or [one for one in report.judgements if one.status != PASSED]
    lines = "".join(f"<li>{escape(said(one))}</li>" for one in wrong)
    counts = f"{sum(one.status == PASSED for one in report.judgements)} of {len(report.judgements)} gates passed."
    listed = f"<ul>{lines}</ul>" if lines else ""
    return f'<div class="verdict {report.verdict}"><strong>{title}</strong>{escape(meaning)} {counts}{listed}</div>'


def said(one: Judgement) -> str:
    """Return a judgement in words."""
    if one.figure is None:
        return f"{one.gate.figure} was not measured, and had to be {one.limit}."
    return f"{one.figure.says or one.gate.figure}: {one.figure.text()}, and had to be {one.limit}. {one.gate.reason}"


def has_card(sections: Sequence[Section]) -> bool:
    """Return whether a section of its own is the card with the table of hazards, as in hospitals."""
    return any(one.name == "card" for one in sections)


def contents(sections: Sequence[Section]) -> str:
    """Return links to the sections."""
    last = max(one.number for one in sections) + 1
    named = [(one.number, one.name, one.title) for one in sections]
    named += [] if has_card(sections) else [(last, "table", "Hazards, gates, tests"), (last + 1, "card", "Card")]
    links = "".join(f'<a href="#{name}">{number} {escape(title)}</a>' for number, name, title in named)
    return f'<nav aria-label="sections">{links}</nav>'


def gates(judgements: Sequence[Judgement]) -> str:
    """Return the gates as a table."""
    rows = []
    for one in judgements:
        section = one.gate.figure.partition(".")[0]
        found = one.figure.text() if one.figure is not None else "not measured"
        says = one.figure.says if one.figure is not None and one.figure.says else one.gate.figure
        cells = [f'<a href="#{section}">{escape(says)}</a>', escape(found), one.limit, escape(one.gate.reason)]
        rows.append(
            f'<tr><td class="{one.status}">{one.status}</td>'
            + "".join(f"<td>{cell}</td>" for cell in cells)
            + f"<td>{one.gate.hazard}</td></tr>"
        )
    head = "".join(f"<th>{name}</th>" for name in ("gate", "figure", "found (95 % interval)", "limit", "why", "hazard"))
    note = "A gate is passed if the whole interval is within its limit, failed if the value is not, else undecided."
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f'<h2>Gates</h2><p class="soft">{note}</p><div class="table">{table}</div>'


def section_of(section: Section, found: Findings) -> str:
    """Return a section: words, pictures, tables."""
    parts = [f'<section id="{section.name}"><h2>{section.number} {escape(section.title)}</h2>']
    parts += [f"<p>{escape(sentence)}</p>" for sentence in found.says]
    parts.append(f'<div class="pictures">{"".join(picture(one) for one in found.pictures)}</div>')
    parts += [table(one) for one in found.tables]
    return "".join([*parts, "</section>"])


def picture(one: Picture) -> str:
    """Return a picture with its caption; several drawings of one picture stand side by side."""
    several = one.svg.count("<svg") > 1
    inner = f'<div class="replay">{one.svg}</div>' if several else one.svg
    wide = ' class="wide"' if several else ""
    return f"<figure{wide}><h3>{escape(one.title)}</h3>{inner}<figcaption>{escape(one.caption)}</figcaption></figure>"


def table(one: Table) -> str:
    """Return a table, folded unless it is meant to be seen at once."""
    head = "".join(f"<th>{escape(name)}</th>" for name in one.columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in one.rows)
    opened = " open" if one.open else ""
    inner = f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    return f"<details{opened}><summary>{escape(one.title)}</summary>{inner}</details>"


def hazards(report: "SafetyReport", profile: "Profile") -> str:
    """Return the hazard table: what can go wrong, which gates watch it, what they found, and which test shows that they can catch it."""
    rows = []
    for hazard in profile.hazards:
        watched = [one for one in report.judgements if one.gate.hazard == hazard.id]
        found = "".join(watched_by(one) for one in watched)
        cells = [f"{hazard.id} {escape(hazard.name)}", escape(hazard.harm), escape(hazard.severity), escape(hazard.reason)]
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + f"<td><ul>{found or '<li>no gate</li>'}</ul></td></tr>")
    head = "".join(
        f"<th>{name}</th>" for name in ("hazard", "harm", "severity", "why it is looked at", "gates, what they found, and the test of each")
    )
    number = max(section.number for section in report.sections) + 1
    table = f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    return f'<section id="table"><h2>{number} Hazards, gates, tests</h2>{table}</section>'


def watched_by(one: Judgement) -> str:
    """Return a gate of a hazard as a line of a list."""
    found = escape(one.figure.text() if one.figure is not None else "not measured")
    link = f'<a href="#{one.gate.figure.partition(".")[0]}">{escape(one.gate.figure)}</a>'
    test = f'<br><span class="soft">{escape(one.gate.test)}</span>' if one.gate.test else ""
    return f'<li><span class="{one.status}"><b>{one.status}</b></span>: {link} {found}, {one.limit}{test}</li>'


def card(report: "SafetyReport") -> str:
    """Return who was evaluated, in what, and how it came about."""
    about, plan = report.about, report.about["plan"]
    options = ", ".join(f"{name}={value}" for name, value in about["options"].items())
    lines = [
        ("policy", about["policy"]), ("what it is", about.get("described", "") or "not described"),
        ("how it was made", about.get("made", "") or "not recorded"), ("identity", about["identity"] or "a reference policy of medsim"),
        ("environment", f"{about['environment']}, {options}"), ("compared with", about["protocol"]),
        ("patients", f"{plan['patients']:,} of the {about['cohort']} cohort, seed {plan['seed']}"),
        ("software", f"medsim {about['medsim']}; profile {about['profile']}"),
        ("meant for", "research on treatment policies in simulation; not for patients"),
    ]  # fmt: skip
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>" for name, value in lines)
    number = max(section.number for section in report.sections) + 2
    return f'<section id="card"><h2>{number} Card</h2><div class="table"><table><tbody>{rows}</tbody></table></div></section>'


def limits(profile: "Profile | HospitalProfile") -> str:
    """Return what the simulation cannot show."""
    lines = "".join(f"<li>{escape(one)}</li>" for one in profile.limits)
    return f"<h2>What this cannot show</h2><ul>{lines}</ul>"
