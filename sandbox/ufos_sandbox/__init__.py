"""Runs code nobody has read yet: in a disposable container, without network, over a read-only catalog."""
