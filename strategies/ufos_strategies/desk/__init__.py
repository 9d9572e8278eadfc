"""The parts of the desk: parameters, model, ladder of orders, defences, hedge."""
