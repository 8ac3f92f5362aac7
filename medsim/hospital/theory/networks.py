"""Open networks of queues: how much traffic each unit sees, and Jackson's product form.

Times are in the unit of the rates. A unit never refuses: with limited beds and boarding, this is the limit of many beds.
Source: Jackson, Operations Research 5:518 (1957), Management Science 10:131 (1963) (citations from memory, to be verified).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medsim.hospital.theory.erlang import MultiServerQueue, mmc
from medsim.hospital.theory.validity import lengths_agree, not_negative, whole

__all__ = ["JacksonNetwork", "jackson", "tandem", "traffic_equations"]

Rows = Sequence[Sequence[float]] | npt.NDArray[np.float64]


def _routing_matrix(routing: Rows, stations: int) -> npt.NDArray[np.float64]:
    matrix = np.asarray(routing, dtype=np.float64)
    if matrix.shape != (stations, stations):
        raise ValueError(f"routing must be of shape {(stations, stations)}, a row for each station, not {matrix.shape}")
    if not np.all((matrix >= 0.0) & (matrix <= 1.0)) or np.any(matrix.sum(axis=1) > 1.0 + 1e-12):
        raise ValueError(f"each row of routing must hold probabilities with a sum of at most 1, not {matrix.tolist()}")
    if max(abs(np.linalg.eigvals(matrix))) > 1.0 - 1e-12:
        raise ValueError(f"routing {matrix.tolist()} has stations that nobody ever leaves")
    return matrix


def traffic_equations(external_rates: Sequence[float], routing: Rows) -> tuple[float, ...]:
    """Return the arrival rate of each station, from outside and from other stations: λ = γ (I - P)⁻¹.

    Args:
        external_rates: (stations,) arrivals from outside per time unit.
        routing: (stations, stations) probability of going from the row's station to the column's; the rest of a row leaves.

    Raises:
        ValueError: shapes disagree, a rate is negative, a row is no set of probabilities, or nobody ever leaves.
    """
    gamma = [not_negative("an external rate", rate) for rate in external_rates]
    matrix = _routing_matrix(routing, lengths_agree(external_rates=gamma))
    rates = np.linalg.solve(np.eye(len(gamma)) - matrix.T, gamma)
    return tuple(float(rate) for rate in rates)


@dataclass(frozen=True, kw_only=True)
class JacksonNetwork:
    """An open network in steady state: each station is an M/M/c of its own, independent of the others at any one time."""

    external_rates: tuple[float, ...]
    arrival_rates: tuple[float, ...]
    stations: tuple[MultiServerQueue, ...]
    mean_number: float  # patients in the whole network
    mean_time_in_network: float  # from arrival to leaving, over all visits

    @property
    def mean_visits(self) -> tuple[float, ...]:
        """How often a patient visits each station on average."""
        return tuple(rate / sum(self.external_rates) for rate in self.arrival_rates)

    def p_numbers(self, numbers: Sequence[int]) -> float:
        """Return the probability that each station holds exactly its number of patients."""
        if len(numbers) != len(self.stations):
            raise ValueError(f"a number for each of the {len(self.stations)} stations is needed, not {tuple(numbers)}")
        return math.prod(station.p_number(number) for station, number in zip(self.stations, numbers, strict=True))


def jackson(external_rates: Sequence[float], routing: Rows, service_rates: Sequence[float], servers: Sequence[int]) -> JacksonNetwork:
    """Return an open Jackson network in steady state.

    Args:
        external_rates: (stations,) arrivals from outside per time unit.
        routing: (stations, stations) probabilities, as in ``traffic_equations``.
        service_rates: (stations,) of each server.
        servers: (stations,) whole numbers.

    Raises:
        ValueError: what ``traffic_equations`` refuses, a station that nobody visits, or one whose load its servers cannot carry.
    """
    lengths_agree(external_rates=external_rates, service_rates=service_rates, servers=servers)
    rates = traffic_equations(external_rates, routing)
    stations = tuple(mmc(rate, mu, whole("servers", c)) for rate, mu, c in zip(rates, service_rates, servers, strict=True))
    number = sum(station.mean_number for station in stations)
    return JacksonNetwork(
        external_rates=tuple(float(rate) for rate in external_rates),
        arrival_rates=rates,
        stations=stations,
        mean_number=number,
        mean_time_in_network=number / sum(external_rates),
    )


def tandem(arrival_rate: float, service_rates: Sequence[float], servers: Sequence[int] | None = None) -> JacksonNetwork:
    """Return stations one after the other, with one server each unless ``servers`` says otherwise."""
    n = lengths_agree(service_rates=service_rates)
    return jackson([arrival_rate] + [0.0] * (n - 1), np.eye(n, k=1), service_rates, [1] * n if servers is None else servers)
