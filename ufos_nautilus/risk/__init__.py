"""Risk: limits, the check in front of every order, restrictions, measures, stress, and what a broken limit sets off."""
