"""Books that run in the engine: NautilusTrader strategies, the same classes in backtest, paper and live."""
