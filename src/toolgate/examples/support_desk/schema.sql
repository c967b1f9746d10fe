-- The support desk's own database. The gate has no table here, and the desk has none in the gate's store.
--
-- Every row of a tenant names it, and every reference carries the tenant along: (tenant, id) -> (tenant, id).
-- A refund of one tenant can therefore never point at an order of another, whatever the code above does.

CREATE TABLE tenants (
    id                    TEXT PRIMARY KEY,
    name                  TEXT NOT NULL,
    refund_ceiling_cents  INTEGER NOT NULL CHECK (refund_ceiling_cents > 0)
) STRICT;

CREATE TABLE users (
    id      TEXT PRIMARY KEY,
    tenant  TEXT NOT NULL REFERENCES tenants (id),
    name    TEXT NOT NULL,
    email   TEXT NOT NULL UNIQUE,
    roles   TEXT NOT NULL,              -- space separated, sorted; '' for none
    active  INTEGER NOT NULL CHECK (active IN (0, 1)),
    UNIQUE (tenant, id)
) STRICT;

CREATE TABLE customers (
    id            TEXT NOT NULL,
    tenant        TEXT NOT NULL REFERENCES tenants (id),
    name          TEXT NOT NULL,
    email         TEXT,                 -- NULL once erased
    state         TEXT NOT NULL CHECK (state IN ('open', 'closed', 'erased')),
    confidential  INTEGER NOT NULL DEFAULT 0 CHECK (confidential IN (0, 1)),
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, email)
) STRICT;

CREATE TABLE orders (
    id           INTEGER PRIMARY KEY,
    tenant       TEXT NOT NULL,
    customer_id  TEXT NOT NULL,
    item         TEXT NOT NULL,
    total_cents  INTEGER NOT NULL CHECK (total_cents > 0),
    state        TEXT NOT NULL CHECK (state IN ('placed', 'shipped', 'delivered', 'cancelled')),
    tracking     TEXT,
    placed_on    TEXT NOT NULL,
    UNIQUE (tenant, id),
    FOREIGN KEY (tenant, customer_id) REFERENCES customers (tenant, id)
) STRICT;

CREATE TABLE payments (
    id              INTEGER PRIMARY KEY,
    tenant          TEXT NOT NULL,
    order_id        INTEGER NOT NULL,
    captured_cents  INTEGER NOT NULL CHECK (captured_cents >= 0),
    state           TEXT NOT NULL CHECK (state IN ('authorised', 'captured', 'disputed')),
    card_last4      TEXT NOT NULL CHECK (length(card_last4) = 4),
    UNIQUE (tenant, order_id),
    FOREIGN KEY (tenant, order_id) REFERENCES orders (tenant, id)
) STRICT;

CREATE TABLE refunds (
    id               INTEGER PRIMARY KEY,
    tenant           TEXT NOT NULL,
    order_id         INTEGER NOT NULL,
    amount_cents     INTEGER NOT NULL CHECK (amount_cents > 0),
    reason           TEXT NOT NULL,
    requested_by     TEXT NOT NULL,
    idempotency_key  TEXT NOT NULL,
    created_at       TEXT NOT NULL,
    UNIQUE (tenant, idempotency_key),
    FOREIGN KEY (tenant, order_id) REFERENCES orders (tenant, id),
    FOREIGN KEY (tenant, requested_by) REFERENCES users (tenant, id)
) STRICT;

CREATE INDEX refunds_by_order ON refunds (tenant, order_id);

CREATE TABLE tickets (
    id               INTEGER PRIMARY KEY,
    tenant           TEXT NOT NULL,
    customer_id      TEXT NOT NULL,
    subject          TEXT NOT NULL,
    body             TEXT NOT NULL,
    priority         TEXT NOT NULL CHECK (priority IN ('low', 'normal', 'high')),
    state            TEXT NOT NULL CHECK (state IN ('open', 'solved')),
    opened_by        TEXT NOT NULL,
    idempotency_key  TEXT NOT NULL,
    created_at       TEXT NOT NULL,
    UNIQUE (tenant, idempotency_key),
    FOREIGN KEY (tenant, customer_id) REFERENCES customers (tenant, id),
    FOREIGN KEY (tenant, opened_by) REFERENCES users (tenant, id)
) STRICT;

CREATE TABLE notes (
    id           INTEGER PRIMARY KEY,
    tenant       TEXT NOT NULL,
    customer_id  TEXT NOT NULL,
    author       TEXT NOT NULL CHECK (author IN ('customer', 'staff')),
    body         TEXT NOT NULL,
    written_on   TEXT NOT NULL,
    FOREIGN KEY (tenant, customer_id) REFERENCES customers (tenant, id)
) STRICT;

CREATE INDEX notes_by_customer ON notes (tenant, customer_id);

CREATE TABLE runbooks (                 -- one handbook for every tenant of the desk
    slug   TEXT PRIMARY KEY,
    title  TEXT NOT NULL,
    body   TEXT NOT NULL
) STRICT;

CREATE TABLE automations (              -- one set of scripts for every tenant of the desk
    path    TEXT PRIMARY KEY,
    source  TEXT NOT NULL
) STRICT;

CREATE TABLE scans (                    -- the scanner's own log: what it was asked to read, each time
    id    INTEGER PRIMARY KEY,
    path  TEXT NOT NULL,
    at    TEXT NOT NULL
) STRICT;

CREATE TABLE outbox (
    id               INTEGER PRIMARY KEY,
    tenant           TEXT NOT NULL,
    recipient        TEXT NOT NULL,
    subject          TEXT NOT NULL,
    body             TEXT NOT NULL,
    queued_by        TEXT NOT NULL,
    idempotency_key  TEXT NOT NULL,
    queued_at        TEXT NOT NULL,
    UNIQUE (tenant, idempotency_key),
    FOREIGN KEY (tenant, queued_by) REFERENCES users (tenant, id)
) STRICT;
