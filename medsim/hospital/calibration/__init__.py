"""A hospital fitted to an encounter table: arrivals, routing, stays and capacities, with how well each fits.

    from medsim.hospital.calibration import fit_hospital

    fit = fit_hospital(frame)           # a pandas DataFrame, one row for each stay of an encounter in a unit
    print(fit.report())
    config = fit.config                 # a HospitalConfig, which the environments take

The columns are described in ``medsim.hospital.calibration.encounters``; ``MAPPINGS`` holds ready-made names of other tables. On the command
line: ``medsim hospital fit encounters.csv``. For research: a fitted queue says how a hospital ran, not how to run one.
"""

from medsim.hospital.calibration.encounters import COLUMNS, MAPPINGS, BadRow, Encounters, Mapping, read_table, renamed, tidy
from medsim.hospital.calibration.fit import Fit, fit_hospital

__all__ = ["COLUMNS", "MAPPINGS", "BadRow", "Encounters", "Fit", "Mapping", "fit_hospital", "read_table", "renamed", "tidy"]
