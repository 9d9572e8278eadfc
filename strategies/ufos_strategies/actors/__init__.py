"""Actors that watch markets for the books: what leads, what is out of the ordinary."""
