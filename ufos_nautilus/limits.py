"""Every limit of the product in one place; each is tested to bite."""

from typing import Final

# market data
RAW_LINE_BYTES_MAX: Final = 8 * 1024 * 1024
"""Longest line accepted from a raw recording (a 1000-level snapshot is about 60 kB)."""
DEPTH_BUFFER_MESSAGES_MAX: Final = 100_000
"""Depth updates kept while waiting for a depth snapshot that fits them."""
DEFECT_EXAMPLES_MAX: Final = 5
"""Examples kept per kind of defect in a manifest."""
CATALOG_ROWS_PER_FILE_MAX: Final = 2_000_000
"""Rows in one Parquet file of a catalog."""
PARQUET_ROW_GROUP_ROWS: Final = 20_000
"""Rows in one Parquet row group, so that a chunked read touches few of them."""
CATALOG_FILE_ROWS: Final = 250_000
"""Rows after which an import starts the next Parquet file of a table."""
IMPORT_BUFFER_ROWS_MAX: Final = 1_000_000
"""Rows an import holds in memory over all tables (about 100 bytes each)."""
IMPORT_SOURCES_MAX: Final = 10_000
"""Files of one import."""
MANIFEST_BYTES_MAX: Final = 64 * 1024 * 1024
"""Size of a catalog's manifest."""
CHECK_CHUNK_ROWS: Final = 100_000
"""Rows a quality check holds at a time."""
CHECK_GAPS_KEPT_MAX: Final = 1_000
"""Longest silences a quality check remembers in one table."""
CATALOG_LOCK_WAIT_S: Final = 60.0
"""Seconds an import waits for another one of the same catalog."""

# engine
CHUNK_ROWS_DEFAULT: Final = 50_000
"""Market-data rows handed to the engine at a time."""
MODIFIES_PER_ORDER_MAX: Final = 20
"""An order is replaced instead of modified after this many (the engine's cost of a modify grows with each)."""
BOOKS_PER_RUN_MAX: Final = 200
"""Books (strategies) in one run."""
ACTORS_PER_RUN_MAX: Final = 50
"""Actors named by one run spec."""
SPEC_BYTES_MAX: Final = 1024 * 1024
"""Size of a run spec file."""
SAMPLE_ROWS_MAX: Final = 2_000_000
"""Rows a recorder table may reach in one run before sampling is thinned by half."""

# reports
CHART_POINTS_MAX: Final = 4_000
"""Points drawn per line of a chart; longer series are thinned for drawing, never for statistics."""
CHART_LINES_MAX: Final = 8
"""Lines of one kind in one chart, as many as the palette tells apart; the rest are named in a note."""
REPORT_CHARTS_MAX: Final = 6
"""Instruments (or currencies) a report section draws, the most traded first."""
REPORT_TABLE_ROWS_MAX: Final = 500
"""Rows in one table of a report."""
RUN_JSON_BYTES_MAX: Final = 4 * 1024 * 1024
"""Size of a stored run's result.json or spec.json."""
RUNS_COMPARED_MAX: Final = 20
"""Runs side by side in one comparison."""

# pricing
QUOTER_BOUND_LOTS_MAX: Final = 10_000
"""Largest inventory bound of a quoter with a table by inventory."""
QUOTER_TABLES_CACHED_MAX: Final = 64
"""Tables by volatility one quoter keeps; the least recently used is dropped."""
EXACT_QUOTER_STEPS_MAX: Final = 20_000
"""Steps of an exact finite-horizon solution; each costs about 0.1 ms at a bound of 10 lots."""
STUDY_PATHS_MAX: Final = 1_000_000
"""Simulated paths of one row of a study."""
INTENSITY_BUCKETS_MAX: Final = 1_000
"""Depth buckets of one intensity estimator."""
VPIN_BUCKETS_MAX: Final = 10_000
"""Volume buckets of one toxicity estimate."""
MICROPRICE_STATES_MAX: Final = 2_000
"""States (imbalance x spread) of a fitted micro-price."""
PARAMETER_FILE_BYTES_MAX: Final = 1024 * 1024
"""Size of a calibration or of a fitted micro-price."""
LEADER_PRICES_MAX: Final = 10_000
"""Prices of a leading market kept to measure its move; the oldest give way."""
QUOTE_LEVELS_MAX: Final = 20
"""Quotes of one side of a desk."""

# synthetic markets
SYNTHETIC_EVENTS_MAX: Final = 50_000_000
"""Book updates (times instruments) plus expected market orders of one generated market."""
SYNTHETIC_INSTRUMENTS_MAX: Final = 500
"""Instruments of one generated universe."""
SYNTHETIC_BATCH_ROWS: Final = 50_000
"""Rows after which a generated batch is handed over."""

# file readers
SOURCE_BYTES_MAX: Final = 2 * 1024**3
"""Length of one source file when unpacked; readers other than binance-raw hold one file at a time in memory."""
DBN_FILE_BYTES_MAX: Final = 512 * 1024**2
"""Size of one Databento file; its loader turns a whole file into objects."""
BARS_IMPORT_ROWS_MAX: Final = 20_000_000
"""Rows of one import of bars, which wait in memory until their grid is known."""
SOURCE_BATCH_ROWS: Final = 500_000
"""Rows after which a reader hands over a batch."""

# crossing
TICKET_NAME_CHARS_MAX: Final = 64
"""Characters of an id, owner or book of a ticket."""
EXEC_INSTRUCTION_BYTES_MAX: Final = 4096
"""Size of a ticket's execution instruction as JSON."""
NBBO_VENUES_MAX: Final = 64
"""Venues in one consolidated best bid and offer."""
POOL_TICKETS_MAX: Final = 10_000
"""Tickets resting in the pool of one symbol."""
POOL_SYMBOLS_MAX: Final = 10_000
"""Symbols with a pool of their own."""
POOL_IDS_MAX: Final = 5_000_000
"""Ticket ids one crosser has ever accepted; it remembers them all so that none trades twice."""
CROSSES_PENDING_MAX: Final = 1_000
"""Crosses proposed and neither committed nor aborted."""
CROSS_PAIRS_PER_SCAN_MAX: Final = 200_000
"""Pairs of tickets looked at for one event; what is left is looked at on the next."""
AUDIT_RECORD_BYTES_MAX: Final = 64 * 1024
"""Size of one line of a hash-chained record."""
AUDIT_RECORDS_MAX: Final = 10_000_000
"""Lines of one hash-chained record."""
SCHEDULE_SLICES_MAX: Final = 10_000
"""Slices of one execution schedule."""
TAPE_DAYS_MAX: Final = 20
"""Last days whose traded volume by the minute a run remembers for volume profiles."""
ALGORITHMS_MAX: Final = 20
"""Execution algorithms in one run."""
ALGORITHM_PARENTS_MAX: Final = 10_000
"""Orders one execution algorithm works at a time; one more is denied."""

# ledger
LEDGER_UNITS_MAX: Final = 2**63 - 1
"""Largest amount of one posting in smallest units, so that every database stores it exactly."""
LEDGER_ASSET_DECIMALS_MAX: Final = 18
"""Decimals of an asset's smallest unit."""
LEDGER_ASSETS_MAX: Final = 100_000
"""Assets of one ledger."""
LEDGER_ACCOUNTS_MAX: Final = 5_000_000
"""Accounts of one ledger."""
LEDGER_NAME_CHARS_MAX: Final = 64
"""Characters of a book, asset, venue or item."""
LEDGER_META_BYTES_MAX: Final = 4096
"""Size of an entry's explanation as JSON."""
LEDGER_POSTINGS_PER_ENTRY_MAX: Final = 1_000
"""Postings of one entry."""
LEDGER_BATCH_ENTRIES_MAX: Final = 10_000
"""Entries written in one transaction."""
LEDGER_PROBLEMS_MAX: Final = 50
"""Problems that a check lists before it stops looking."""
LEDGER_READ_ROWS: Final = 20_000
"""Entries read from a store at a time."""
LEDGER_EXPORT_ROWS_PER_FILE: Final = 1_000_000
"""Rows of one exported Parquet file."""
LEDGER_LOTS_MAX: Final = 100_000
"""Open tax lots of one book and item."""

# sandbox
SANDBOX_WALL_S: Final = 30.0
"""Seconds of one sandboxed run from the request to its result."""
SANDBOX_WALL_S_MAX: Final = 600.0
"""Longest wall time a caller may ask for."""
SANDBOX_READY_S: Final = 20.0
"""Seconds a container may take until it says that it is ready."""
SANDBOX_IDLE_S: Final = 900.0
"""Seconds a warm container waits for work before it ends itself."""
SANDBOX_HEARTBEAT_S: Final = 5.0
"""Seconds between two signs of life from the host to a warm container; without three of them it ends itself."""
SANDBOX_GRACE_S: Final = 3.0
"""Seconds after its deadline in which a container has ended, whatever became of the host process."""
SANDBOX_CPU_GRACE_S: Final = 5.0
"""CPU seconds beyond the wall time before the kernel ends a run by itself."""
SANDBOX_CPUS: Final = 2
"""Processors one container may use at a time; with one, its threads wait for each other and load data at half speed."""
SANDBOX_MEMORY_MB: Final = 1024
"""Memory of one container; there is no swap."""
SANDBOX_TMP_MB: Final = 64
"""Size of a container's only writable directory, in memory; holds the slice while it is read."""
SANDBOX_TMP_INODES: Final = 4096
"""Files in that directory."""
SANDBOX_PIDS: Final = 64
"""Processes and threads of one container."""
SANDBOX_OPEN_FILES: Final = 256
"""Open files of one process in a container."""
SANDBOX_CODE_BYTES_MAX: Final = 256 * 1024
"""Size of a strategy's source."""
SANDBOX_PARAMS_BYTES_MAX: Final = 64 * 1024
"""Size of a strategy's parameters as JSON."""
SANDBOX_FRAME_BYTES_MAX: Final = 8 * 1024 * 1024
"""Size of one message out of a container."""
SANDBOX_OUTPUT_BYTES_MAX: Final = 12 * 1024 * 1024
"""Bytes a container may write in its whole life."""
SANDBOX_FRAMES_MAX: Final = 1_000
"""Messages a container may write in its whole life."""
SANDBOX_RESULT_ROWS_MAX: Final = 50_000
"""Orders, and fills, in one result."""
SANDBOX_MESSAGE_CHARS_MAX: Final = 600
"""Characters of an error message that come out of a container."""
SANDBOX_SLICE_BYTES_MAX: Final = 48 * 1024 * 1024
"""Parquet bytes of one slice of market data."""
SANDBOX_SLICE_ROWS_MAX: Final = 3_000_000
"""Rows of one slice of market data."""
SANDBOX_SLICE_CACHE_BYTES: Final = 128 * 1024 * 1024
"""Slices kept in memory for the next run over the same data."""
SANDBOX_QUEUE_MAX: Final = 64
"""Runs that may wait for a free place; one more is refused."""
SANDBOX_QUEUE_S: Final = 300.0
"""Seconds a run may wait for a free place."""
SANDBOX_EVIDENCE_MAX: Final = 20
"""Pieces of evidence listed in a verdict; the rest are counted."""
SANDBOX_TRUNCATIONS: Final = 3
"""Further runs on shortened data that look for knowledge of the future."""

# risk
RISK_LIMITS_BYTES_MAX: Final = 1024 * 1024
"""Size of a limits file."""
RISK_RULES_MAX: Final = 10_000
"""Books, instruments, restrictions or actions named in one limits file."""
RISK_ORDERS_OPEN_MAX: Final = 200_000
"""Orders the gate follows at a time; one more is denied."""
RISK_AUDIT_BATCH_MAX: Final = 200
"""Orders let pass that one record of the audit holds; denials and halts are written at once."""
RISK_RETURNS_MAX: Final = 100_000
"""Returns of one series a measure takes."""
RISK_POSITIONS_MAX: Final = 100_000
"""Positions of one snapshot."""
RISK_FACTORS_MAX: Final = 50
"""Factors of one regression."""
RISK_WINDOW_SAMPLES_MAX: Final = 1_000_000
"""Samples of equity a loss window holds."""
RISK_LOOKS_MAX: Final = 2_000_000
"""Times the watchdog may look at its figures in one backtest; each look takes some ten microseconds."""
HALT_DATAGRAM_BYTES_MAX: Final = 512
"""Size of a datagram that asks for a halt."""
HALT_NONCES_MAX: Final = 10_000
"""Datagrams remembered so that none counts twice; while it is full nothing more is accepted."""
HALT_REASON_CHARS_MAX: Final = 200
"""Characters of the reason of a halt."""
REDIS_REPLY_BYTES_MAX: Final = 64 * 1024
"""Size of one reply of Redis."""
DRILL_ORDERS_MAX: Final = 20_000
"""Resting orders of one drill."""
DRILL_ROUNDS_MAX: Final = 1_000
"""Rounds of one drill."""

# portfolio
PLAN_NAMES_MAX: Final = 5_000
"""Names of one target or plan."""
PLAN_LOTS_MAX: Final = 100_000
"""Tax lots of one plan."""
PLAN_FILE_BYTES_MAX: Final = 16 * 1024 * 1024
"""Size of a portfolio, target, price, lot or plan file."""
PLAN_SOLVER_NODES_MAX: Final = 20_000
"""Branches an exact plan may take; a count, not a time, so that the same inputs give the same plan."""
PLAN_VALIDITY_S_MAX: Final = 7 * 86_400.0
"""Longest life of a plan, seconds."""
PERFORMANCE_POINTS_MAX: Final = 1_000_000
"""Samples of one series of values that performance is measured on."""
TARGET_RETURNS_MAX: Final = 5_000_000
"""Returns of all names together that a target is made from."""
RULE_PERIOD_MAX: Final = 5_000
"""Bars that one indicator of a rule strategy looks back."""
RULE_TEXT_MAX: Final = 200
"""Characters of one condition of a rule strategy."""
RULE_CONDITIONS_MAX: Final = 16
"""Conditions to enter, and to leave, one side of a rule strategy."""
RULE_SYMBOLS_MAX: Final = 5_000
"""Symbols that a rule strategy names."""
STRATEGY_FILE_BYTES_MAX: Final = 256 * 1024
"""Size of a file with a rule strategy."""
FACTOR_FILE_BYTES_MAX: Final = 64 * 1024 * 1024
"""Unpacked size of a file of daily factors."""
STRATEGY_RULES_MAX: Final = 50
"""Indicators, and conditions, of one rule strategy."""

# experiments
EXPERIMENT_TEXT_CHARS_MAX: Final = 4_000
"""Characters of a hypothesis, an insight or a query."""
EXPERIMENT_TAGS_MAX: Final = 10
"""Tags of one insight."""
EXPERIMENT_TAG_CHARS_MAX: Final = 40
"""Characters of one tag."""
EXPERIMENT_JSON_BYTES_MAX: Final = 64 * 1024
"""Size of the parameters, figures or spec stored with one row."""
EXPERIMENT_ROWS_MAX: Final = 200
"""Rows one query returns."""
EXPERIMENT_STRATEGIES_MAX: Final = 10_000
"""Versions of strategies in one store."""
EXPERIMENT_INSIGHTS_MAX: Final = 100_000
"""Insights in one store."""
EXPERIMENT_TOOL_CALLS_MAX: Final = 1_000_000
"""Calls of tools one store remembers; the oldest tenth goes when it is full."""
EXPERIMENT_LOCK_WAIT_S: Final = 10.0
"""Seconds a writer waits for another one of the same store."""

# mcp
MCP_MESSAGE_BYTES_MAX: Final = 4 * 1024 * 1024
"""Size of one message on any transport: a line on stdio, a request body over HTTP."""
MCP_BODY_S: Final = 30.0
"""Seconds a client may take to send one request body."""
MCP_CALLS_PER_MINUTE: Final = 100
"""Calls of one tool by one user in a minute."""
MCP_READS_PER_MINUTE: Final = 6_000
"""All other requests (resources, lists, prompts) of one user in a minute."""
MCP_CALLS_AT_ONCE: Final = 10
"""Tool calls of one user that run at a time."""
MCP_CALLS_WAITING_MAX: Final = 500
"""Tool calls of one user that wait for their turn; one more is refused."""
MCP_USERS_MAX: Final = 10_000
"""Users whose rates are remembered; the least recent is forgotten."""
MCP_TOKENS_MAX: Final = 10_000
"""Keys in the token file."""
MCP_MEMORY_SHARE_MAX: Final = 0.9
"""Share of the machine's (or container's) memory in use above which nothing new is started."""
MCP_JOBS_WAITING_MAX: Final = 16
"""Jobs that wait for a worker process; one more is refused."""
MCP_JOBS_KEPT: Final = 500
"""Jobs remembered after their end."""
MCP_JOB_WALL_S: Final = 3_600.0
"""Seconds one job may take."""
MCP_JOB_GRACE_S: Final = 3.0
"""Seconds between asking a worker process to end and killing it."""
MCP_JOB_LINE_BYTES_MAX: Final = 4 * 1024 * 1024
"""Size of one line a worker process writes."""
MCP_WAIT_S_MAX: Final = 600
"""Seconds a call may wait for its job before it answers with the job's id."""
MCP_SWEEP_RUNS_MAX: Final = 16
"""Backtests of one sweep."""
MCP_RUNS_COMPARED_MAX: Final = 10
"""Runs in one request."""
MCP_RESULT_BYTES_MAX: Final = 96 * 1024
"""Size of a tool's result or of a resource as JSON (charts and schemas apart)."""
MCP_ROWS_MAX: Final = 200
"""Rows of one page of a table."""
MCP_BOOK_DEPTH_MAX: Final = 50
"""Levels of each side of a book."""
MCP_BOOK_ROWS_MAX: Final = 20_000_000
"""Deltas read to rebuild one book."""
MCP_CACHED_MAX: Final = 512
"""Prepared answers kept in memory."""
MCP_CATALOGS_MAX: Final = 500
"""Catalogs looked at below the root."""
MCP_INSTRUMENTS_MAX: Final = 100
"""Instruments that one call may name."""
MCP_SCREEN_INSTRUMENTS_MAX: Final = 1_000
"""Instruments that one screen looks at where none are named."""
MCP_SYMBOLS_LISTED_MAX: Final = 2_000
"""Names of instruments in one answer."""
MCP_BARS_MAX: Final = 200_000
"""Bars of one instrument in one analysis."""
MCP_SUBSCRIPTIONS_MAX: Final = 1_000
"""Subscriptions of all connections of the handshake era."""
MCP_TASKS_MAX: Final = 200
"""Tasks of the tasks extension that are remembered."""
MCP_TASK_TTL_S: Final = 3_600.0
"""Seconds a finished task can still be asked for."""
MCP_AUDIT_ARGUMENT_CHARS_MAX: Final = 2_000
"""Characters of a call's arguments in the audit record; a hash covers all of them."""
