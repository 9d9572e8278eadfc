"""UFOS: desks, clients and strategies on one NautilusTrader engine and one ledger."""
