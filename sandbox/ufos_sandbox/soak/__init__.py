"""Many runs in a row while host processes and a Docker daemon of its own are killed at random."""

from ufos_sandbox.soak.runs import SoakReport, soak

__all__ = ["SoakReport", "soak"]
