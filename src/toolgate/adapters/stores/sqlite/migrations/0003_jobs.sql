-- Calls that run as jobs: what a queue and a progress bar need besides the call. A job's state is its call's.

CREATE TABLE jobs (
    job_id        TEXT PRIMARY KEY,
    call_id       TEXT NOT NULL,
    tenant        TEXT NOT NULL,
    tool          TEXT NOT NULL,
    caller_id     TEXT NOT NULL,
    queue         TEXT NOT NULL,
    priority      INTEGER NOT NULL,
    not_before    INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    timeout_us    INTEGER NOT NULL,
    rerun         INTEGER NOT NULL,
    started_at    INTEGER,
    attempts      INTEGER NOT NULL,
    done          REAL,
    total         REAL,
    note          TEXT,
    progress_at   INTEGER,
    cancel_at     INTEGER,
    cancelled_by  TEXT,
    cancel_reason TEXT
) WITHOUT ROWID;

-- Each in the order in which it is listed.
CREATE INDEX jobs_of_tenant ON jobs (tenant, job_id);
CREATE INDEX jobs_of_tool ON jobs (tenant, tool, job_id);
CREATE INDEX jobs_of_caller ON jobs (tenant, caller_id, job_id);

-- What waits for a worker: small whatever the history, and looked through to find what no engine knows.
CREATE INDEX calls_started ON calls (call_id) WHERE status = 'started';
