"""Crossing inside the house: tickets, NBBO, pool, matching, best-execution record; no engine."""
