-- The ledger. Times are microseconds since the epoch, UTC. Ids are prefixed ULIDs, so that rows of
-- tables keyed by them are appended; only claims are keyed by a MAC, which is as good as random.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE calls (
    call_id           TEXT PRIMARY KEY,
    tenant            TEXT NOT NULL,
    tool              TEXT NOT NULL,
    version           TEXT NOT NULL,
    contract_digest   TEXT NOT NULL,
    effect            TEXT NOT NULL,
    caller_id         TEXT NOT NULL,
    agent             TEXT,
    model             TEXT,
    workflow_id       TEXT NOT NULL,
    workflow_explicit INTEGER NOT NULL,
    request_id        TEXT,
    trace             TEXT,
    surface           TEXT NOT NULL,
    received_at       INTEGER NOT NULL,
    digest            BLOB NOT NULL,
    fingerprint       BLOB NOT NULL,
    key_mac           BLOB,
    updated_at        INTEGER NOT NULL,
    status            TEXT NOT NULL,
    effect_state      TEXT CHECK (effect_state IN ('intended', 'applied', 'not_applied', 'unknown')),
    error_type        TEXT,
    owner             TEXT NOT NULL,
    lease_until       INTEGER NOT NULL,
    approval_id       TEXT,
    duration_us       INTEGER NOT NULL,
    incident          TEXT
) WITHOUT ROWID;

-- Small whatever the history: only what recovery and people still have to look at.
CREATE INDEX calls_in_doubt ON calls (lease_until)
    WHERE effect_state IN ('intended', 'unknown') OR incident IS NOT NULL;

CREATE TABLE claims (
    key_mac     BLOB PRIMARY KEY,
    call_id     TEXT NOT NULL,
    caller_id   TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    attach_only INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE approvals (
    approval_id  TEXT PRIMARY KEY,
    call_id      TEXT NOT NULL,
    tenant       TEXT NOT NULL,
    tool         TEXT NOT NULL,
    caller_id    TEXT NOT NULL,
    revision     INTEGER NOT NULL,
    state        TEXT NOT NULL
        CHECK (state IN ('pending', 'approved', 'denied', 'expired', 'cancelled', 'consumed')),
    requirement  BLOB NOT NULL,
    digest       BLOB NOT NULL,
    shown        BLOB NOT NULL,
    requested_at INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    reason       TEXT
) WITHOUT ROWID;

CREATE INDEX approvals_open ON approvals (state, approval_id) WHERE state IN ('pending', 'approved');

CREATE TABLE votes (
    approval_id TEXT NOT NULL,
    revision    INTEGER NOT NULL,
    voter       TEXT NOT NULL,
    roles       TEXT NOT NULL,
    reason      TEXT NOT NULL,
    at          INTEGER NOT NULL,
    PRIMARY KEY (approval_id, revision, voter)
) WITHOUT ROWID;

-- Encrypted arguments and results: never in clear, never in the trail.
CREATE TABLE sealed (
    call_id TEXT NOT NULL,
    kind    TEXT NOT NULL,
    sealed  BLOB NOT NULL,
    PRIMARY KEY (call_id, kind)
) WITHOUT ROWID;

CREATE TABLE tokens (
    token_id   TEXT PRIMARY KEY,
    token_hash TEXT NOT NULL UNIQUE,
    caller_id  TEXT NOT NULL,
    tenant     TEXT NOT NULL,
    roles      TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER
) WITHOUT ROWID;

-- One chain a boot. `named_seq` is the head that a later chain has recorded in its first event.
CREATE TABLE chains (
    chain_no  INTEGER PRIMARY KEY,
    chain_id  TEXT NOT NULL UNIQUE,
    head_seq  INTEGER NOT NULL,
    head_link BLOB NOT NULL,
    named_seq INTEGER NOT NULL
);

CREATE TABLE audit (
    seq       INTEGER PRIMARY KEY,
    chain_no  INTEGER NOT NULL,
    chain_seq INTEGER NOT NULL,
    call_id   TEXT,
    at        INTEGER NOT NULL,
    record    BLOB NOT NULL,
    leaf      BLOB NOT NULL,
    link      BLOB NOT NULL
);

CREATE INDEX audit_call ON audit (call_id) WHERE call_id IS NOT NULL;
