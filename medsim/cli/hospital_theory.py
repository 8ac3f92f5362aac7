"""``medsim hospital theory``: quick answers of queueing theory."""

import argparse
import json
from typing import Any

__all__ = ["configure_theory", "theory"]

NOT_ADVICE = "Research simulation, not medical advice."


def configure_theory(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments of ``theory``."""
    kinds = parser.add_subparsers(title="models", metavar="mmc | erlang-b | staffing", required=True, dest="model")
    queue = kinds.add_parser("mmc", help="waits with Poisson arrivals, exponential stays and one queue (M/M/c)")
    queue.add_argument("--lam", type=float, required=True, help="arrivals per time unit")
    queue.add_argument("--mu", type=float, required=True, help="patients that one server treats per time unit: 1 / mean stay")
    queue.add_argument("--servers", type=int, required=True, help="beds, nurses, ...")
    loss = kinds.add_parser("erlang-b", help="refusals without a queue, whatever the stays' distribution (M/G/c/c)")
    loss.add_argument("--load", type=float, required=True, help="arrivals times mean stay")
    loss.add_argument("--servers", type=int, required=True, help="beds")
    staff = kinds.add_parser("staffing", help="the fewest servers for a load with which at most a share of the patients wait")
    staff.add_argument("--load", type=float, required=True, help="arrivals times mean stay")
    staff.add_argument("--wait", type=float, default=0.2, help="share who may wait (default %(default)s)")
    for one in (queue, loss, staff):
        one.add_argument("--json", action="store_true", help="for machines")


def theory(args: argparse.Namespace) -> int:
    """Print what queueing theory says."""
    facts = {"mmc": mmc_facts, "erlang-b": loss_facts, "staffing": staffing_facts}[args.model](args)
    if args.json:
        print(json.dumps({**facts, "note": NOT_ADVICE}, indent=1))
        return 0
    rule = facts.pop("square_root_rule", None)
    shown = {name: f"{value:g}" for name, value in facts.items()}
    if rule:
        shown["square-root rule"] = f"{rule['servers']} ({rule['p_wait']:.3f})"
    width = max(map(len, shown))
    print("\n".join([*(f"{name:{width}s}  {value}" for name, value in shown.items()), NOT_ADVICE]))
    return 0


def mmc_facts(args: argparse.Namespace) -> dict[str, Any]:
    """Return the waits of M/M/c, in the time unit of the rates."""
    from medsim.hospital.theory import mmc

    queue = mmc(arrival_rate=args.lam, service_rate=args.mu, servers=args.servers)
    names = ("offered_load", "utilisation", "p_wait", "mean_wait", "mean_time_in_system", "mean_queue_length", "mean_number")
    return {**{name: getattr(queue, name) for name in names}, "wait_90_percent": queue.wait_quantile(0.9)}


def loss_facts(args: argparse.Namespace) -> dict[str, Any]:
    """Return refusals and use of M/G/c/c."""
    from medsim.hospital.theory import erlang_b

    blocked = erlang_b(args.servers, args.load)
    return {"p_blocked": blocked, "carried_load": args.load * (1.0 - blocked), "utilisation": args.load * (1.0 - blocked) / args.servers}


def staffing_facts(args: argparse.Namespace) -> dict[str, Any]:
    """Return the fewest servers that meet the target, by M/M/c, and those of the square-root rule, which may miss it."""
    from medsim.hospital.theory import erlang_c, servers_for_delay, square_root_staffing

    rule = square_root_staffing(args.load, args.wait)
    servers = servers_for_delay(args.load, args.wait)
    return {
        "servers": servers, "p_wait": erlang_c(servers, args.load), "utilisation": args.load / servers,
        "square_root_rule": {"servers": rule.servers, "p_wait": rule.p_wait, "beta": rule.beta},
    }  # fmt: skip
