"""What runs inside a container: only the standard library until the engine is imported."""
