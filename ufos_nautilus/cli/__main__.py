"""`python -m ufos_nautilus.cli` is the same as `ufos`."""

from ufos_nautilus.cli import main

main()
