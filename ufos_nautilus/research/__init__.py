"""Studies and calibration over stored data; needs the research extra."""
