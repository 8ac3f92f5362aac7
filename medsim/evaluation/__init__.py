"""How good a policy is: rollouts on fixed patients, and the statistics of their scores."""
