-- What retention needs: how a key is found from its call, keys that outlive their call, and where chains were cut.

CREATE INDEX claims_of_call ON claims (call_id);

-- A key whose call's row is gone: its claim still answers that it was applied. `ended_at` is when the call had ended.
CREATE TABLE tombstones (
    key_mac  BLOB PRIMARY KEY,
    ended_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX tombstones_by_time ON tombstones (ended_at);

-- The last record that retention removed of a chain, and when the trail said so.
CREATE TABLE cuts (
    chain_no  INTEGER PRIMARY KEY,
    seq       INTEGER NOT NULL,
    link      BLOB NOT NULL,
    stated_at INTEGER NOT NULL
);

-- Work that one process does for all: when its turn was last taken.
CREATE TABLE turns (
    name TEXT PRIMARY KEY,
    at   INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX tokens_ended ON tokens (min(expires_at, coalesce(revoked_at, expires_at)), token_id) WHERE kind <> 'api';
CREATE INDEX notices_planned ON notices (at, notice_id) WHERE planned = 1;
