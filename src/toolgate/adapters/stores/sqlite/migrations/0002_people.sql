-- What people decide: edits, reveals, grants, credentials with scopes, and notices on their way out.

ALTER TABLE approvals ADD COLUMN barred TEXT NOT NULL DEFAULT '[]';
ALTER TABLE approvals ADD COLUMN must_reveal INTEGER NOT NULL DEFAULT 0;
ALTER TABLE approvals ADD COLUMN ended_by TEXT;

-- What waits is small whatever the history: by tenant for people, by time for the clock.
CREATE INDEX approvals_waiting ON approvals (tenant, approval_id) WHERE state IN ('pending', 'approved');
CREATE INDEX approvals_lapsing ON approvals (expires_at) WHERE state IN ('pending', 'approved');
CREATE INDEX approvals_of_tenant ON approvals (tenant, approval_id);

CREATE TABLE revisions (
    approval_id TEXT NOT NULL,
    revision    INTEGER NOT NULL,
    digest      BLOB NOT NULL,
    shown       BLOB NOT NULL,
    replaced_at INTEGER NOT NULL,
    editor      TEXT NOT NULL,
    reason      TEXT NOT NULL,
    PRIMARY KEY (approval_id, revision)
) WITHOUT ROWID;

CREATE TABLE reveals (
    approval_id TEXT NOT NULL,
    revision    INTEGER NOT NULL,
    viewer      TEXT NOT NULL,
    at          INTEGER NOT NULL,
    PRIMARY KEY (approval_id, revision, viewer)
) WITHOUT ROWID;

CREATE TABLE grants (
    grant_id        TEXT PRIMARY KEY,
    tenant          TEXT NOT NULL,
    tool            TEXT NOT NULL,
    contract_digest TEXT NOT NULL,
    bounds          BLOB NOT NULL,
    caller_id       TEXT,
    agent           TEXT,
    until           INTEGER NOT NULL,
    max_uses        INTEGER NOT NULL,
    uses            INTEGER NOT NULL CHECK (uses BETWEEN 0 AND max_uses),
    granted_by      TEXT NOT NULL,
    roles           TEXT NOT NULL,
    reason          TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    approval_id     TEXT,
    revoked_at      INTEGER,
    revoked_by      TEXT
) WITHOUT ROWID;

CREATE INDEX grants_of_tenant ON grants (tenant, grant_id);
CREATE INDEX grants_in_force ON grants (tenant, tool, until) WHERE revoked_at IS NULL;
CREATE INDEX grants_lapsing ON grants (until, grant_id) WHERE revoked_at IS NULL;

ALTER TABLE tokens ADD COLUMN kind TEXT NOT NULL DEFAULT 'api';
ALTER TABLE tokens ADD COLUMN scopes TEXT NOT NULL DEFAULT '["approve", "call", "operate"]';
ALTER TABLE tokens ADD COLUMN agent TEXT;
ALTER TABLE tokens ADD COLUMN owner TEXT;
ALTER TABLE tokens ADD COLUMN label TEXT NOT NULL DEFAULT '';
ALTER TABLE tokens ADD COLUMN parent TEXT;

-- Those that people make are listed; sessions and the like only while they last.
CREATE INDEX tokens_given_out ON tokens (tenant, token_id) WHERE kind = 'api';
CREATE INDEX tokens_passing ON tokens (expires_at) WHERE kind <> 'api' AND revoked_at IS NULL;

CREATE TABLE notices (
    notice_id TEXT PRIMARY KEY,
    tenant    TEXT NOT NULL,
    topic     TEXT NOT NULL,
    risk      TEXT,
    at        INTEGER NOT NULL,
    body      BLOB NOT NULL,
    planned   INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX notices_unplanned ON notices (at, notice_id) WHERE planned = 0;

CREATE TABLE deliveries (
    notice_id  TEXT NOT NULL,
    sink       TEXT NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'dead')),
    attempts   INTEGER NOT NULL,
    next_at    INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    last_error TEXT,
    PRIMARY KEY (notice_id, sink)
) WITHOUT ROWID;

CREATE INDEX deliveries_by_state ON deliveries (state, next_at);

-- People search calls by these; each is in the order in which they are listed. `status` is indexed only where it is
-- worth searching for: a call that succeeds would be moved in the index for nothing.
CREATE INDEX calls_by_time ON calls (tenant, received_at);
CREATE INDEX calls_by_tool ON calls (tenant, tool, received_at);
CREATE INDEX calls_by_caller ON calls (tenant, caller_id, received_at);
CREATE INDEX calls_by_workflow ON calls (tenant, workflow_id, received_at);
CREATE INDEX calls_that_ended_otherwise ON calls (tenant, status, received_at)
    WHERE status IN ('refused', 'failed', 'unknown', 'pending_approval');
