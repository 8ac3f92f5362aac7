"""Safety evaluation of policies: what a safety board asks of a policy before anyone trusts it, answered on simulated patients."""
