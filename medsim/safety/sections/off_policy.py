"""11: if all there were were records of the protocol's care: what they would have said of the policy, and whether that is right."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medsim.evaluation.off_policy import OffPolicyEstimate, OffPolicyReport, evaluate_off_policy, exact_value
from medsim.evaluation.off_policy.truth import discounted
from medsim.policies.policy import Policy
from medsim.safety.context import Context
from medsim.safety.drawing import Interval, Mark, estimates
from medsim.safety.figures import Figure, difference_of, exactly, mean_of, plain
from medsim.safety.findings import Findings, Picture, Section, Table, figures_table
from medsim.safety.records import Question, Unanswerable, evidence, question

__all__ = ["SECTION"]

Floats = npt.NDArray[np.float64]

BETTER, WORSE, ALIKE = "better", "worse", "no different"
WEIGHTED = ("wdr", "cwpdis")  # the first that can be had speaks for the records: weighted, so that no single patient can carry it away
FEW = 3.0  # chosen: effective episodes, below which what importance sampling says is no finding at all
SAME = 1e-9  # of exact values that are no difference
FIT_WORK = 3.0  # chosen: of fitting values, in courses of all the plan's patients: about the time that those take
MEANINGS = {
    "is": "importance sampling", "pdis": "per-decision importance sampling", "wis": "weighted importance sampling",
    "cwpdis": "per-decision weighted importance sampling", "dm": "the model alone", "dr": "doubly robust",
    "wdr": "weighted doubly robust", "magic": "a blend of model and wdr",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Worth:
    """Values in truth: of the policy asked about, of the protocol as it acts in the records, and the one less the other."""

    asked: Figure
    acts: Figure
    gain: Figure
    exact: bool


@dataclass(frozen=True, kw_only=True)
class Word:
    """What an estimator says of the policy against the care in the records, and whether that is so; None: it has no interval."""

    told: str | None
    true: str

    @property
    def judged(self) -> str:
        """Return it in a word or two."""
        if self.told is None:
            return "has no interval"
        if self.told == self.true:
            return "right"
        return "cannot tell" if self.told == ALIKE else "wrong"


def off_policy(c: Context) -> Findings:
    """Return what records would have said of the policy, beside what is true."""
    try:
        asking = question(c)
    except Unanswerable as error:
        c.tell(work(c))
        return Findings(says=(f"Records of the protocol's care cannot be asked about this policy: {error}.",))
    episodes = asking.records(c.env_id)
    c.tell(c.plan.logged / c.plan.patients)
    given, model = evidence(c, asking, episodes)
    found = evaluate_off_policy(given, seed=c.plan.seed)
    c.tell(FIT_WORK)
    worth = worth_of(c, asking)
    true = direction(worth.gain)
    words = {name: Word(told=told_by(one), true=true) for name, one in found.gains.items()}
    figures = figures_of(found, worth, words, mean_of(given.returns, "", "mean return of the records"))
    return Findings(
        says=(bottom_line(found, worth, words), *asking.says, *sentences(found, worth, words, figures), model), figures=figures,
        pictures=(picture(found, worth, figures, given.returns),), tables=(table(found, figures, words), figures_table(figures)),
    )  # fmt: skip


def worth_of(c: Context, asking: Question) -> Worth:
    """Return what is true: exactly where both can be told, else by the courses of the test patients under both, with the same noise."""
    of_acts = {**asking.options, **asking.hidden}
    exact = [exact_value(c.env_id, policy, options) for policy, options in ((asking.asked, asking.options), (asking.acts, of_acts))]
    says = ("true value of the policy, as it is asked about", "true value of the protocol, as it acts in the records")
    between = "in truth: the policy's value less that of the protocol in the records"
    if exact[0] is not None and exact[1] is not None:
        c.tell(2.0)
        own, other = exact[0], exact[1]
        gain = own - other if abs(own - other) > SAME else 0.0
        return Worth(asked=exactly(own, says[0]), acts=exactly(other, says[1]), gain=exactly(gain, between), exact=True)
    returns = returns_of(c, asking.asked, asking), returns_of(c, asking.acts, asking)
    return Worth(
        asked=mean_of(returns[0], "", says[0]),
        acts=mean_of(returns[1], "", says[1]),
        gain=difference_of(*returns, "", between),
        exact=False,
    )


def returns_of(c: Context, policy: Policy, asking: Question) -> Floats:
    """Return each test patient's return under the policy asked about, or under the protocol as it acts in the records, (n,)."""
    if policy is c.policy:
        c.tell(1.0)
        courses = c.own
    else:
        courses = c.follow(policy, c.plan.patients, more={**asking.options, **(asking.hidden if policy is asking.acts else {})})
    return discounted(courses.rewards, float(getattr(courses.task, "discount", 1.0)))


def direction(gain: Figure) -> str:
    """Return what a gain with its interval says."""
    return BETTER if gain.low > 0.0 else WORSE if gain.high < 0.0 else ALIKE


def told_by(one: OffPolicyEstimate) -> str | None:
    """Return what an estimated gain says; None where it has no interval."""
    return None if one.low is None or one.high is None else direction(figure_of(one))


def figure_of(one: OffPolicyEstimate, says: str = "", less: float = 0.0) -> Figure:
    """Return an estimate, less a number, as a figure: without an interval, if it has none."""
    low, high = (one.value if end is None else end for end in (one.low, one.high))
    return Figure(value=one.value - less, low=low - less, high=high - less, says=says)


def figures_of(found: OffPolicyReport, worth: Worth, words: Mapping[str, Word], records: Figure) -> dict[str, Figure]:
    """Return the figures."""
    says = "so many episodes of the policy's own would tell as much as the records"
    wrong = sum(one.judged == "wrong" for one in words.values())
    figures = {
        "truth": worth.asked,
        "truth_protocol": worth.acts,
        "truth_gain": worth.gain,
        "records": records,
        "effective_sample_size": exactly(found.effective_sample_size, says, f"of {found.episodes:,}"),
        "misled": exactly(float(wrong), "estimators whose word on the policy would have been wrong"),
    }
    for name, one in found.estimates.items():
        figures[name] = figure_of(one, f"{name}, {MEANINGS[name]}")
        figures[f"{name}.error"] = figure_of(one, f"{name}: its error", worth.asked.value)
    return figures


def speaker(words: Mapping[str, Word]) -> str:
    """Return the estimator that speaks for the records."""
    return next(name for name in WEIGHTED if name in words)


def bottom_line(found: OffPolicyReport, worth: Worth, words: Mapping[str, Word]) -> str:
    """Return what a board should take away."""
    word = words[speaker(words)]
    if not found.enough:
        return "From records of the protocol's care alone this policy must not be judged: they hold too little of what it would have done."
    truth = f"it is {word.true}" if word.true != ALIKE else "there is no difference that can be shown"
    if word.judged == "right":
        return f"Records of the protocol's care would have told rightly how this policy fares against it: {truth}."
    if word.judged == "wrong":
        return f"Records of the protocol's care would have misled: they call the policy {word.told}, and {truth}."
    return f"Records of the protocol's care could not have told this policy from it, and {truth}."


def sentences(found: OffPolicyReport, worth: Worth, words: Mapping[str, Word], figures: Mapping[str, Figure]) -> list[str]:
    """Return the rest in words."""
    known = "known exactly" if worth.exact else "by the test patients' courses, with the same noise"
    says = [
        f"In truth it is worth {worth.asked.bare()}, and the protocol, as it acts in the records, {worth.acts.bare()}: the difference is "
        f"{worth.gain.bare()} ({known}). The records' own mean return is {figures['records'].bare()}."
    ]
    effective = f"The records are worth {plain(found.effective_sample_size)} of {found.episodes:,} episodes of the policy's own"
    if found.effective_sample_size == 0.0:
        effective = "Nobody in the records was treated as the policy would have done"
    says.append(f"{effective}: {'enough to rank it' if found.enough else 'too few to rank it, and a ranking is refused'}.")
    if found.effective_sample_size < FEW:
        says.append("What importance sampling says rests on one or two patients or on nobody: it falls to 0 whatever the policy is worth.")
    name = speaker(words)
    word, gain = words[name], figure_of(found.gains[name])
    judged = {"right": "rightly", "wrong": f"wrongly: it is {word.true}", "cannot tell": f"and it is {word.true}"}[word.judged]
    without = "" if found.enough else "Who ranked all the same: "
    says.append(f"{without}{name} ({MEANINGS[name]}) calls it {word.told} than the care in the records ({gain.bare()}), {judged}."
                if word.told != ALIKE else
                f"{without}{name} ({MEANINGS[name]}) cannot tell it from the care in the records ({gain.bare()}), {judged}.")  # fmt: skip
    wrong = [one for one, said in words.items() if said.judged == "wrong"]
    if wrong:
        says.append(f"Wrong about it: {', '.join(wrong)}.")
    errors = {one: abs(figures[f"{one}.error"].value) for one in found.estimates}
    nearest, farthest = min(errors, key=errors.__getitem__), max(errors, key=errors.__getitem__)
    with_intervals = [one for one, said in found.estimates.items() if said.low is not None]
    holding = sum(holds(figures[one], worth) for one in with_intervals)
    says.append(f"{holding} of {len(with_intervals)} intervals hold the truth. The nearest estimate is that of {nearest}, off by "
                f"{plain(errors[nearest])}, the farthest that of {farthest}, off by {plain(errors[farthest])}.")  # fmt: skip
    return says


def holds(figure: Figure, worth: Worth) -> bool:
    """Return whether an interval holds the true value."""
    return figure.low <= worth.asked.value <= figure.high


def picture(found: OffPolicyReport, worth: Worth, figures: Mapping[str, Figure], returns: Floats) -> Picture:
    """Return every estimate beside the truth; nobody's return in the records lies beyond the scale."""
    lines = [Interval(label="records' mean", figure=figures["records"], kind="standard")]
    for name, one in found.estimates.items():
        kind = "other" if one.low is None else "pass" if holds(figures[name], worth) else "fail"
        lines.append(Interval(label=name, figure=figures[name], kind=kind))
    marks = [
        Mark(label="policy, in truth", value=worth.asked.value, kind="truth"),
        Mark(label="protocol, in truth", value=worth.acts.value, kind="standard"),
    ]
    caption = ("What estimators say of the policy from records of the protocol, with 95 % intervals: green where they hold the truth, red "
               "where they do not, arrows where they go on beyond what any patient's return was.")  # fmt: skip
    limits = float(returns.min()), float(returns.max())
    return Picture(title="What the records say, and the truth", caption=caption, svg=estimates(lines, "value", marks, limits))


def table(found: OffPolicyReport, figures: Mapping[str, Figure], words: Mapping[str, Word]) -> Table:
    """Return each estimator's word, and whether it is right."""
    rows = tuple(
        (f"{name}, {MEANINGS[name]}", figures[name].bare(), figures[f"{name}.error"].bare(), words[name].told or "", words[name].judged)
        for name in found.estimates
    )
    columns = ("estimator", "value (95 % interval)", "error", "calls it, beside the care in the records,", "which is")
    return Table(title="Estimators", columns=columns, rows=rows, open=True)


def work(c: Context) -> float:
    """Return the work, in courses of all the plan's patients: the truth of both, the records, the fit."""
    return 2.0 + FIT_WORK + c.plan.logged / c.plan.patients


SECTION = Section(number=11, name="off_policy", title="What records alone would have said of it", run=off_policy, work=work)
