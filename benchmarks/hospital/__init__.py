"""Hospital environments whose optimum is known: how much of the gap learned policies close."""
