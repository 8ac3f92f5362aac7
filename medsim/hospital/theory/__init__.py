"""Queueing theory as an oracle: what a simulated hospital must agree with where the answer is known.

Every function takes plain numbers and returns a number or a small frozen dataclass. The time unit is that of the rates: rates per hour
give waits in hours. Numbers that make no queue, or a load that its servers cannot carry, raise a ValueError that names them::

    from medsim.hospital.theory import TwoHospitals, mmc

    ward = mmc(arrival_rate=9.0, service_rate=1.0, servers=10)
    print(ward.mean_wait, ward.p_wait, ward.wait_quantile(0.9))

    pair = TwoHospitals(arrival_rate=4.2, service_rates=(1.0, 0.25), beds=(4, 4))
    print(pair.optimum().mean_number, pair.evaluate(pair.shortest_queue()).mean_number)

Theory assumes what it says (Poisson arrivals, steady state, exponential stays except where any will do). Real units differ: for research,
not for staffing a hospital.
"""

from medsim.hospital.theory.abandonment import AbandonmentQueue, erlang_a
from medsim.hospital.theory.birth_death import birth_death
from medsim.hospital.theory.erlang import (
    LimitedQueue,
    LossQueue,
    MultiServerQueue,
    SingleServerQueue,
    erlang_b,
    erlang_c,
    mg1,
    mgcc,
    mm1,
    mmc,
    mmck,
)
from medsim.hospital.theory.loss import AdmissionOptimum, AdmissionSystem, AdmissionValue
from medsim.hospital.theory.networks import JacksonNetwork, jackson, tandem, traffic_equations
from medsim.hospital.theory.priorities import (
    PriorityQueue,
    cmu_order,
    cobham,
    conserved_work,
    fifo_cost_rate,
    mmc_preemptive,
    mmc_priority,
    preemptive_resume,
    static_order_cost_rate,
)
from medsim.hospital.theory.routing import RoutingOptimum, RoutingValue, TwoHospitals
from medsim.hospital.theory.staffing import (
    SquareRootStaffing,
    beds_for_blocking,
    beta_for_delay,
    halfin_whitt_delay,
    offered_load,
    servers_for_delay,
    square_root_staffing,
)
from medsim.hospital.theory.stroke_unit import STROKE_UNIT_DELAYS, PublishedDelay, StrokeUnitRow, stroke_unit_load, stroke_unit_table
from medsim.hospital.theory.time_varying import PoissonCensus, SinusoidalCensus, mean_census_profile, mg_infinity, sinusoidal_census

__all__ = [
    "STROKE_UNIT_DELAYS",
    "AbandonmentQueue",
    "AdmissionOptimum",
    "AdmissionSystem",
    "AdmissionValue",
    "JacksonNetwork",
    "LimitedQueue",
    "LossQueue",
    "MultiServerQueue",
    "PoissonCensus",
    "PriorityQueue",
    "PublishedDelay",
    "RoutingOptimum",
    "RoutingValue",
    "SingleServerQueue",
    "SinusoidalCensus",
    "SquareRootStaffing",
    "StrokeUnitRow",
    "TwoHospitals",
    "beds_for_blocking",
    "beta_for_delay",
    "birth_death",
    "cmu_order",
    "cobham",
    "conserved_work",
    "erlang_a",
    "erlang_b",
    "erlang_c",
    "fifo_cost_rate",
    "halfin_whitt_delay",
    "jackson",
    "mean_census_profile",
    "mg1",
    "mg_infinity",
    "mgcc",
    "mm1",
    "mmc",
    "mmc_preemptive",
    "mmc_priority",
    "mmck",
    "offered_load",
    "preemptive_resume",
    "servers_for_delay",
    "sinusoidal_census",
    "square_root_staffing",
    "static_order_cost_rate",
    "stroke_unit_load",
    "stroke_unit_table",
    "tandem",
    "traffic_equations",
]
