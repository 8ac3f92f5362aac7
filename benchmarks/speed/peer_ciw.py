"""Runs M/M/10 in Ciw under its own interpreter: each line ``20000`` (customers) on stdin gives its clocks and the mean wait as JSON.

Ciw installs a top-level package called ``tests``, which would hide the tests of whoever has it, so it lives in an environment of its own.
"""

import json
import sys
import time
from importlib.metadata import version

import ciw

ARRIVALS_PER_H, SERVERS = 9.0, 10


def run(customers, seed):
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(rate=ARRIVALS_PER_H)],
        service_distributions=[ciw.dists.Exponential(rate=1.0)],
        number_of_servers=[SERVERS],
    )
    ciw.seed(seed)
    cpu, wall = time.process_time(), time.perf_counter()
    simulation = ciw.Simulation(network)
    simulation.simulate_until_max_customers(customers, method="Finish")
    clocks = time.process_time() - cpu, time.perf_counter() - wall
    waits = [record.waiting_time for record in simulation.get_all_records()]
    return {"cpu_s": clocks[0], "wall_s": clocks[1], "customers": len(waits), "wait_h": sum(waits) / len(waits)}


def main():
    print(json.dumps({"python": sys.version.split()[0], "ciw": version("ciw")}), flush=True)
    for number, line in enumerate(sys.stdin):
        print(json.dumps(run(int(line), number)), flush=True)


if __name__ == "__main__":
    main()
