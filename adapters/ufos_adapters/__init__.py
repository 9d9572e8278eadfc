"""What connects the engine to the outside: file formats, replay feeds and venues."""
