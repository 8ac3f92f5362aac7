"""A safety evaluation of policies of hospitals: beside the hospital's protocol, on the same episodes with the same arrivals and chances."""
