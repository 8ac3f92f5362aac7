"""Patient flow through the units of one hospital: emergency department, wards, intensive care, or any network of queues."""
