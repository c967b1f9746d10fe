-- The ledger. Times are microseconds since the epoch, UTC. Ids are prefixed ULIDs, so that rows of
-- tables keyed by them are appended; only claims are keyed by a MAC, which is as good as random.
-- Ids and names are compared byte by byte (COLLATE "C"): they are no language, and the order of a
-- locale changes with the operating system's library.

CREATE TABLE calls (
    call_id           text COLLATE "C" PRIMARY KEY,
    tenant            text COLLATE "C" NOT NULL,
    tool              text COLLATE "C" NOT NULL,
    version           text NOT NULL,
    contract_digest   text NOT NULL,
    effect            text NOT NULL,
    caller_id         text COLLATE "C" NOT NULL,
    agent             text COLLATE "C",
    model             text,
    workflow_id       text COLLATE "C" NOT NULL,
    workflow_explicit boolean NOT NULL,
    request_id        text,
    trace             text,
    surface           text NOT NULL,
    received_at       bigint NOT NULL,
    digest            bytea NOT NULL,
    fingerprint       bytea NOT NULL,
    key_mac           bytea,
    updated_at        bigint NOT NULL,
    status            text COLLATE "C" NOT NULL,
    effect_state      text COLLATE "C" CHECK (effect_state IN ('intended', 'applied', 'not_applied', 'unknown')),
    error_type        text COLLATE "C",
    owner             text NOT NULL,
    lease_until       bigint NOT NULL,
    approval_id       text COLLATE "C",
    duration_us       bigint NOT NULL,
    incident          text
);

-- Small whatever the history: only what recovery and people still have to look at.
CREATE INDEX calls_in_doubt ON calls (lease_until)
    WHERE effect_state IN ('intended', 'unknown') OR incident IS NOT NULL;

-- People search calls by these; each is in the order in which they are listed. `status` is indexed only where it is
-- worth searching for: a call that succeeds would be moved in the index for nothing.
CREATE INDEX calls_by_time ON calls (tenant, received_at, call_id);
CREATE INDEX calls_by_tool ON calls (tenant, tool, received_at, call_id);
CREATE INDEX calls_by_caller ON calls (tenant, caller_id, received_at, call_id);
CREATE INDEX calls_by_workflow ON calls (tenant, workflow_id, received_at, call_id);
CREATE INDEX calls_that_ended_otherwise ON calls (tenant, status, received_at, call_id)
    WHERE status IN ('refused', 'failed', 'unknown', 'pending_approval');

-- What waits for a worker: small whatever the history, and looked through to find what no engine knows.
CREATE INDEX calls_started ON calls (call_id) WHERE status = 'started';

CREATE TABLE claims (
    key_mac     bytea PRIMARY KEY,
    call_id     text COLLATE "C" NOT NULL,
    caller_id   text COLLATE "C" NOT NULL,
    fingerprint bytea NOT NULL,
    attach_only boolean NOT NULL
);

CREATE TABLE approvals (
    approval_id  text COLLATE "C" PRIMARY KEY,
    call_id      text COLLATE "C" NOT NULL,
    tenant       text COLLATE "C" NOT NULL,
    tool         text COLLATE "C" NOT NULL,
    caller_id    text COLLATE "C" NOT NULL,
    revision     bigint NOT NULL,
    state        text COLLATE "C" NOT NULL
        CHECK (state IN ('pending', 'approved', 'denied', 'expired', 'cancelled', 'consumed')),
    requirement  bytea NOT NULL,
    digest       bytea NOT NULL,
    shown        bytea NOT NULL,
    requested_at bigint NOT NULL,
    expires_at   bigint NOT NULL,
    updated_at   bigint NOT NULL,
    reason       text,
    barred       text NOT NULL,
    must_reveal  boolean NOT NULL,
    ended_by     text
);

-- What waits is small whatever the history: by tenant for people, by time for the clock.
CREATE INDEX approvals_open ON approvals (state, approval_id) WHERE state IN ('pending', 'approved');
CREATE INDEX approvals_waiting ON approvals (tenant, approval_id) WHERE state IN ('pending', 'approved');
CREATE INDEX approvals_lapsing ON approvals (expires_at) WHERE state IN ('pending', 'approved');
CREATE INDEX approvals_of_tenant ON approvals (tenant, approval_id);

CREATE TABLE votes (
    approval_id text COLLATE "C" NOT NULL,
    revision    bigint NOT NULL,
    voter       text COLLATE "C" NOT NULL,
    roles       text NOT NULL,
    reason      text NOT NULL,
    at          bigint NOT NULL,
    PRIMARY KEY (approval_id, revision, voter)
);

CREATE TABLE revisions (
    approval_id text COLLATE "C" NOT NULL,
    revision    bigint NOT NULL,
    digest      bytea NOT NULL,
    shown       bytea NOT NULL,
    replaced_at bigint NOT NULL,
    editor      text NOT NULL,
    reason      text NOT NULL,
    PRIMARY KEY (approval_id, revision)
);

CREATE TABLE reveals (
    approval_id text COLLATE "C" NOT NULL,
    revision    bigint NOT NULL,
    viewer      text COLLATE "C" NOT NULL,
    at          bigint NOT NULL,
    PRIMARY KEY (approval_id, revision, viewer)
);

-- Encrypted arguments and results: never in clear, never in the trail.
CREATE TABLE sealed (
    call_id text COLLATE "C" NOT NULL,
    kind    text COLLATE "C" NOT NULL,
    sealed  bytea NOT NULL,
    PRIMARY KEY (call_id, kind)
);

CREATE TABLE grants (
    grant_id        text COLLATE "C" PRIMARY KEY,
    tenant          text COLLATE "C" NOT NULL,
    tool            text COLLATE "C" NOT NULL,
    contract_digest text NOT NULL,
    bounds          bytea NOT NULL,
    caller_id       text COLLATE "C",
    agent           text COLLATE "C",
    until           bigint NOT NULL,
    max_uses        bigint NOT NULL,
    uses            bigint NOT NULL CHECK (uses BETWEEN 0 AND max_uses),
    granted_by      text NOT NULL,
    roles           text NOT NULL,
    reason          text NOT NULL,
    created_at      bigint NOT NULL,
    approval_id     text COLLATE "C",
    revoked_at      bigint,
    revoked_by      text
);

CREATE INDEX grants_of_tenant ON grants (tenant, grant_id);
CREATE INDEX grants_in_force ON grants (tenant, tool, until) WHERE revoked_at IS NULL;
CREATE INDEX grants_lapsing ON grants (until, grant_id) WHERE revoked_at IS NULL;

CREATE TABLE tokens (
    token_id   text COLLATE "C" PRIMARY KEY,
    token_hash text COLLATE "C" NOT NULL UNIQUE,
    caller_id  text COLLATE "C" NOT NULL,
    tenant     text COLLATE "C" NOT NULL,
    roles      text NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    revoked_at bigint,
    kind       text COLLATE "C" NOT NULL,
    scopes     text NOT NULL,
    agent      text COLLATE "C",
    owner      text,
    label      text NOT NULL,
    parent     text COLLATE "C"
);

-- Those that people make are listed; sessions and the like only while they last.
CREATE INDEX tokens_given_out ON tokens (tenant, token_id) WHERE kind = 'api';
CREATE INDEX tokens_passing ON tokens (expires_at) WHERE kind <> 'api' AND revoked_at IS NULL;

CREATE TABLE notices (
    notice_id text COLLATE "C" PRIMARY KEY,
    tenant    text COLLATE "C" NOT NULL,
    topic     text NOT NULL,
    risk      text,
    at        bigint NOT NULL,
    body      bytea NOT NULL,
    planned   boolean NOT NULL
);

CREATE INDEX notices_unplanned ON notices (at, notice_id) WHERE NOT planned;

CREATE TABLE deliveries (
    notice_id  text COLLATE "C" NOT NULL,
    sink       text COLLATE "C" NOT NULL,
    state      text COLLATE "C" NOT NULL CHECK (state IN ('pending', 'delivered', 'dead')),
    attempts   bigint NOT NULL,
    next_at    bigint NOT NULL,
    updated_at bigint NOT NULL,
    last_error text,
    PRIMARY KEY (notice_id, sink)
);

CREATE INDEX deliveries_by_state ON deliveries (state, next_at);

-- One chain a boot. `named_seq` is the head that a later chain has recorded in its first event. `recent` is cleared
-- where a later chain began with a time that is not before this one's, so that the newest time is found among few.
-- Each group moves its chain's row and counts itself there (`groups`), which tells whether it was committed; that stays
-- within the row's page: nothing that moves is indexed, and the page has room.
CREATE TABLE chains (
    chain_no  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    chain_id  text COLLATE "C" NOT NULL UNIQUE,
    head_seq  bigint NOT NULL,
    head_link bytea NOT NULL,
    named_seq bigint NOT NULL,
    head_at   bigint NOT NULL,
    recent    boolean NOT NULL,
    groups    bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 20);

CREATE INDEX chains_recent ON chains (chain_no) WHERE recent;

-- The trail, a partition a month of `at`. `seq` orders all chains: the number of the transaction that wrote it times
-- 65536, above `seq_base` in `meta`, plus its place in that transaction.
CREATE TABLE audit (
    seq       bigint NOT NULL,
    chain_no  bigint NOT NULL,
    chain_seq bigint NOT NULL,
    call_id   text COLLATE "C",
    at        bigint NOT NULL,
    record    bytea NOT NULL,
    leaf      bytea NOT NULL,
    link      bytea NOT NULL,
    PRIMARY KEY (chain_no, chain_seq, at)
) PARTITION BY RANGE (at);

CREATE INDEX audit_seq ON audit (seq);
CREATE INDEX audit_call ON audit (call_id, seq) WHERE call_id IS NOT NULL;

-- What a job is besides its call, which holds its state. Progress moves it often, within its page.
CREATE TABLE jobs (
    job_id        text COLLATE "C" PRIMARY KEY,
    call_id       text COLLATE "C" NOT NULL,
    tenant        text COLLATE "C" NOT NULL,
    tool          text COLLATE "C" NOT NULL,
    caller_id     text COLLATE "C" NOT NULL,
    queue         text COLLATE "C" NOT NULL,
    priority      bigint NOT NULL,
    not_before    bigint NOT NULL,
    created_at    bigint NOT NULL,
    timeout_us    bigint NOT NULL,
    rerun         boolean NOT NULL,
    started_at    bigint,
    attempts      bigint NOT NULL,
    done          double precision,
    total         double precision,
    note          text,
    progress_at   bigint,
    cancel_at     bigint,
    cancelled_by  text,
    cancel_reason text
) WITH (fillfactor = 70);

-- Each in the order in which it is listed.
CREATE INDEX jobs_of_tenant ON jobs (tenant, job_id);
CREATE INDEX jobs_of_tool ON jobs (tenant, tool, job_id);
CREATE INDEX jobs_of_caller ON jobs (tenant, caller_id, job_id);

-- Rates that all replicas share. Nanoseconds: `arrival` is when the allowance would be whole again (GCRA's theoretical
-- arrival time), one is to be had `every` so often, `burst` at once. `asked`, `granted` and `at` are of the last time.
CREATE TABLE limits (
    key     text COLLATE "C" PRIMARY KEY,
    every   bigint NOT NULL,
    burst   bigint NOT NULL,
    asked   bigint NOT NULL,
    granted bigint NOT NULL,
    at      bigint NOT NULL,
    arrival bigint NOT NULL
) WITH (fillfactor = 50);

-- What a replica last told of a tool's breaker: open until then, or closed.
CREATE TABLE breakers (
    tool       text COLLATE "C" PRIMARY KEY,
    open_until bigint NOT NULL,
    updated_at bigint NOT NULL,
    told_by    text NOT NULL
) WITH (fillfactor = 50);
