"""Double-entry ledger of all books: accounts, journal, recipes, views, stores; no engine."""
