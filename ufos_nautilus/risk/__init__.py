"""Risk: limits, checks in front of every order, restrictions, measures, stress, and what happens when a limit breaks."""
