"""Execution algorithms: how what crosses with nobody is worked on the market."""
