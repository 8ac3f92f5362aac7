"""``medsim envs`` and ``medsim render`` for hospitals: what an environment is, and a picture of its bed board."""

import argparse
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

from medsim.cli.environments import options_of, scores_and_sources
from medsim.cli.verbs import find_hospital_policy, parse_settings
from medsim.hospital.board import Board
from medsim.hospital.evaluation import decide_by
from medsim.hospital.policy import HospitalPolicy
from medsim.hospital.shells import FORBIDDEN, HospitalShell
from medsim.hospital.task import HospitalTask
from medsim.registry import hospital_card, make_task

__all__ = ["describe_hospital", "render_hospital", "same_twice"]

MOVING = (".gif", ".webp", ".apng")  # a png holds a single board
STILL = (".png", ".txt")
FEW = 100  # chosen: so many decisions are compared by the doctor, in a second or so


def describe_hospital(env_id: str, with_provenance: bool) -> dict[str, object]:
    """Return what is known of a hospital's environment."""
    task, known = make_task(env_id), hospital_card(env_id)
    facts: dict[str, object] = {
        "id": known.id,
        "question": known.question,
        "interface": "PettingZoo: parallel and AEC" if known.several_agents else "Gymnasium",
        "agents": {role: ", ".join(agent for agent, its in task.roles.items() if its == role) for role in task.actions},
        "actions": told_once({role: "; ".join(names) for role, names in task.actions.items()}),
        "observations": told_once({role: "; ".join(task.names_seen(role)) for role in task.actions}),
        "horizon": f"{task.horizon_h:g} h, {'its own end' if task.ends_by_itself else 'then watching stops'}",
        "options": options_of(task),
        "reward terms": ", ".join(task.term_names),
        "costs": ", ".join((*task.cost_names, FORBIDDEN)),
        "metrics": ", ".join(metric_names(task)),
        "episodes": known.episodes,
    }
    return facts | scores_and_sources(task, known, with_provenance)


def metric_names(task: HospitalTask) -> tuple[str, ...]:
    """Return the names of an episode's figures, as a model that has only just begun gives them."""
    shell = HospitalShell(task, None)
    shell.begin(0, None)
    return tuple(shell.present_model().metrics())


def told_once(by_role: dict[str, str]) -> dict[str, str]:
    """Return texts by role, roles that share one together."""
    together: dict[str, list[str]] = {}
    for role, text in by_role.items():
        together.setdefault(text, []).append(role)
    return {", ".join(roles): text for text, roles in together.items()}


# Pictures


def render_hospital(args: argparse.Namespace) -> int:
    """Draw the bed board at an hour, or, as a film, every quarter of an hour up to it.

    Raises:
        ValueError: there is no such policy or option, an argument is for treatments alone, the slot is negative, or the hour is not one of
            the episode; or the file's name ends in nothing that can be drawn.
    """
    if args.slot < 0:
        raise ValueError(f"--slot must be 0 or more, not {args.slot}")
    for name, default in (("cohort", "test"), ("patient", None)):
        if getattr(args, name) != default:
            raise ValueError(f"--{name} is for treatments, and {args.env} is a hospital")
    policy = find_hospital_policy(args.env, args.policy)
    task = make_task(args.env, **{**policy.options, **parse_settings(args.set)})
    hours = min(24.0, task.horizon_h) if args.hour is None else args.hour
    if not 0.0 <= hours <= task.horizon_h:
        raise ValueError(f"--hour must be 0 to {task.horizon_h:g}, not {hours:g}")
    target = Path(args.out)
    if target.suffix.lower() not in (*STILL, *MOVING):
        raise ValueError(f"--out must end in {', '.join(STILL)} (one board) or {', '.join(MOVING)} (a film), not {target.suffix!r}")
    target.parent.mkdir(parents=True, exist_ok=True)
    board = draw(task, policy, hours, target, args)
    from medsim.render.bed_board import clock

    what = f"{'film up to the ' if target.suffix.lower() in MOVING else ''}board of {clock(board.time_h)}"
    asked = f"hour {hours:g} of {task.horizon_h:g} asked for: the next decision from then, or the end"
    print(f"wrote {target}: {policy.name}, {what} ({asked}), episode {args.slot} of seed {args.seed}")
    return 0


def draw(task: HospitalTask, policy: HospitalPolicy, hours: float, target: Path, args: argparse.Namespace) -> Board:
    """Write a film, a picture or a text, as the file's name says; return the board in it, of a film the last."""
    from medsim.render.bed_animation import animate, boards_of_episode
    from medsim.render.bed_board import board_picture, board_text

    moving = target.suffix.lower() in MOVING
    # one tick up to the hour gives its board; that of an episode that ended sooner is that of its end
    every_min = 15.0 if moving else max(60.0 * hours, 1.0)
    boards = boards_of_episode(task, policy, seed=args.seed, slot=args.slot, hours=hours, every_min=every_min)
    shown: deque[Board] = deque(maxlen=1)
    if moving:
        animate(remembered(boards, shown), target)
        return shown[-1]
    shown.extend(boards)
    if target.suffix.lower() == ".txt":
        target.write_text(board_text(shown[-1]) + "\n", encoding="utf-8")
        return shown[-1]
    from PIL import Image

    Image.fromarray(board_picture(shown[-1])).save(target)
    return shown[-1]


def remembered(boards: Iterable[Board], shown: deque[Board]) -> Iterator[Board]:
    """Yield boards, keeping the last in ``shown``."""
    for board in boards:
        shown.append(board)
        yield board


# Doctor


def same_twice(env_id: str) -> str:
    """Return whether two runs of a hospital on one seed, a random policy acting, are the same to the bit for a while."""
    first, second = (course(env_id) for _ in range(2))
    if first != second:
        return f"WRONG: two runs on one seed differ: {first[-1]} {second[-1]}"
    return f"works; two runs on one seed are the same to the bit for {len(first)} decisions"


def course(env_id: str) -> list[tuple[float, float, list[float]]]:
    """Return time, reward and what the asked agent sees for the first decisions of an episode."""
    from medsim.hospital.policy import RandomHospitalPolicy

    task = make_task(env_id)
    shell, policy = HospitalShell(task, None), RandomHospitalPolicy()
    shell.begin(1, None)
    policy.begin(task, shell.key)
    model = shell.present_model()
    seen: list[tuple[float, float, list[float]]] = []
    while model.request is not None and len(seen) < FEW:
        agent = model.request.agent
        observation = model.observe(agent)
        ledger = decide_by(shell, policy)
        seen.append((model.time_h, sum(ledger.terms.values()), observation))
    return seen
