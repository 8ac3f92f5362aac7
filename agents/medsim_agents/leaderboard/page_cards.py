"""Run cards: all that is known of a row of the leaderboard, in a part of the page that opens."""

import json
from collections.abc import Mapping, Sequence
from html import escape

from medsim.registry import is_hospital
from medsim_agents.leaderboard.charts import cost_curve, learning_curves
from medsim_agents.leaderboard.page_tables import minus, submitted
from medsim_agents.leaderboard.rows import Estimate, Row, Run
from medsim_agents.leaderboard.strokes import words
from medsim_agents.leaderboard.table import duration, figure

__all__ = ["run_card"]

SCHEDULED = ("learning_rate", "clip_range", "ent_coef", "exploration_rate")


def run_card(row: Row, rows: Sequence[Row]) -> str:
    """The card of a row; `rows`: all of its board, for the lines that its learning curve is held against."""
    many = f"{row.seeds} run" + ("s" if row.seeds > 1 else "")
    summary = f"<b>{escape(row.policy)}</b> {submitted(row)} <span>{many}, {duration(row.wall_s)} each</span>"
    runs = "".join(_run(run) for run in row.runs)
    curves = f'<div class="figures">{"".join(_curves(row, rows))}</div>' if row.curve else ""
    facts = f"<article>{_terms(_facts(row))}{curves}</article>"
    return f'<details class="card"><summary>{summary}</summary>{facts}{runs}</details>'


def _facts(row: Row) -> dict[str, str]:
    """What holds for all runs of the row; values are HTML."""
    board, env = row.board, row.board.env
    version = env.rpartition("-v")[2]
    judges = f"{board.patients} test episodes" if is_hospital(env) else f"{board.patients} patients of the {escape(board.cohort)} cohort"
    found = {
        "Environment": f"{escape(env)}, version {escape(version)}{_options(json.loads(board.settings))}",
        "Algorithm": escape(row.policy) + ("" if row.role == "agent" else f" ({row.role})"),
        "Configuration": f"<code>{row.configuration}</code>",
        "Seeds": ", ".join(str(run.seed) for run in row.runs),
        "Steps": f"{row.steps:,}" if row.steps else "none: it was not trained",
        "Settings": _settings(row.hyperparameters),
        "Schedules": _schedules(row.hyperparameters),
        "Shaping": _shaping(row.hyperparameters),
        "Settings from": _origin(row),
        "Evaluation": f"{judges}, seed {board.evaluation_seed}",
        "Score": f"{_interval(row.score)} ({row.statistic}), 0 the floor, 1 the ceiling",
        "Return": _interval(row.mean_return),
        "Costs": "; ".join(f"{words(name)} {_interval(cost)}" for name, cost in row.costs.items()),
        "Outcomes": ", ".join(f"{words(name)} {share:.1%}" for name, share in row.outcomes.items() if share > 0),
    }
    if row.submission is not None:
        found["Submitted"] = f"by {escape(row.submission['by'])}: {escape(row.submission['how'])}"
    return {name: said for name, said in found.items() if said}


def _options(settings: Mapping[str, object]) -> str:
    return "".join(f", {escape(name)} = {escape(_plain(value))}" for name, value in settings.items())


def _settings(hyperparameters: Mapping[str, object]) -> str:
    return ", ".join(f"{escape(name)} = {escape(_plain(value))}" for name, value in hyperparameters.items())


def _schedules(hyperparameters: Mapping[str, object]) -> str:
    """What changes in the course of the training, in words."""
    said = [f"{name}: {_plain(value)}" for name, value in hyperparameters.items() if name in SCHEDULED and isinstance(value, str)]
    first, last = hyperparameters.get("learning_rate"), hyperparameters.get("learning_rate_final")
    if last is not None and not isinstance(first, str) and first != last:
        said.append(f"learning_rate: a line from {_plain(first)} to {_plain(last)}")
    if "exploration_fraction" in hyperparameters and "exploration_rate" not in hyperparameters:
        ends = [_plain(hyperparameters.get(f"exploration_{end}_eps", "the default")) for end in ("initial", "final")]
        said.append(
            f"exploration: a line from {ends[0]} to {ends[1]} over {_plain(hyperparameters['exploration_fraction'])} of the training"
        )
    return escape("; ".join(said))


def _shaping(hyperparameters: Mapping[str, object]) -> str:
    options = hyperparameters.get("env_options")
    return f"trained under {escape(_plain(options))}; judged on the environment's own reward" if options else ""


def _origin(row: Row) -> str:
    if row.kind == "reference":
        return ""
    origin = row.settings_from
    if origin is None:
        return "not recorded"
    how = f"best of {origin['trials']} trials on validation patients" if origin["trials"] else "chosen by hand, no trials"
    changed = f"; changed: {escape(', '.join(origin['changed']))}" if origin["changed"] else ""
    return f"{escape(origin['file'])} (<code>{escape(origin['sha256'])}</code>), {how}{changed}"


def _curves(row: Row, rows: Sequence[Row]) -> list[str]:
    bars = [other for other in rows if other.kind == "reference"]
    drawn = {"Return while learning": learning_curves([row, *bars]), "Cost while learning": cost_curve(row)}
    return [f"<figure><figcaption><h4>{title}</h4></figcaption>{drawing}</figure>" for title, drawing in drawn.items()]


def _run(run: Run) -> str:
    versions = ", ".join(f"{escape(name)} {escape(version)}" for name, version in run.versions.items())
    spent = f"{duration(run.time['wall_s'])} on the clock, {duration(run.time['cpu_s'])} of processor time"
    if run.time["steps_per_s"]:
        spent += f", {figure(run.time['steps_per_s'])} steps a second"
    facts = {"Commit": f"<code>{escape(run.commit)}</code>", "Hardware": escape(run.hardware), "Time": spent}
    facts["Versions"] = versions
    return (
        f"<article><h4>Seed {run.seed} <span>job {run.id}</span></h4>"
        f'<pre class="command" tabindex="0"><code>{escape(run.command)}</code></pre>'
        f"{_terms(facts)}</article>"
    )


def _terms(facts: Mapping[str, str]) -> str:
    return f"<dl>{''.join(f'<div><dt>{name}</dt><dd>{said}</dd></div>' for name, said in facts.items())}</dl>"


def _interval(estimate: Estimate) -> str:
    return minus(f"{figure(estimate.value)} ({figure(estimate.low)} to {figure(estimate.high)})")


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
