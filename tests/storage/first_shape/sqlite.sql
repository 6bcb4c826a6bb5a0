-- The tables as the first release made them (create_all at its revision).

CREATE TABLE accounts (
    id INTEGER NOT NULL,
    amo_id BIGINT NOT NULL,
    amojo_id VARCHAR(64) NOT NULL,
    url TEXT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (amo_id, amojo_id)
);

CREATE TABLE crm_budget (
    account VARCHAR(255) NOT NULL,
    next_free BIGINT NOT NULL,
    stopped_kind VARCHAR(40),
    stopped_reason TEXT,
    stopped_at BIGINT,
    next_probe BIGINT,
    PRIMARY KEY (account)
);

CREATE TABLE deals (
    account BIGINT NOT NULL,
    deal_id BIGINT NOT NULL,
    pipeline_id BIGINT NOT NULL,
    status_id BIGINT NOT NULL,
    stage_since FLOAT NOT NULL,
    updated_at FLOAT NOT NULL,
    read_at FLOAT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (account, deal_id)
);

CREATE INDEX deals_stage ON deals (account, pipeline_id, status_id);

CREATE TABLE events (
    id INTEGER NOT NULL,
    account BIGINT NOT NULL,
    inbox_id BIGINT,
    "key" VARCHAR(80) NOT NULL,
    deal_id BIGINT,
    received_at FLOAT NOT NULL,
    body TEXT NOT NULL,
    state VARCHAR(8) NOT NULL,
    attempts INTEGER NOT NULL,
    due_at FLOAT NOT NULL,
    error TEXT,
    PRIMARY KEY (id),
    UNIQUE (account, "key")
);

CREATE INDEX events_open ON events (account, id) WHERE state = 'open';

CREATE TABLE inbox (
    id INTEGER NOT NULL,
    account BIGINT NOT NULL,
    received_at FLOAT NOT NULL,
    body BLOB NOT NULL,
    state VARCHAR(8) NOT NULL,
    PRIMARY KEY (id)
);

CREATE INDEX inbox_new ON inbox (account, id) WHERE state = 'new';

CREATE TABLE journal (
    id INTEGER NOT NULL,
    account BIGINT NOT NULL,
    at FLOAT NOT NULL,
    event_id BIGINT,
    deal_id BIGINT,
    what TEXT NOT NULL,
    rule VARCHAR(160),
    clause VARCHAR(40) NOT NULL,
    verdict VARCHAR(12) NOT NULL,
    reason TEXT NOT NULL,
    actions TEXT NOT NULL,
    PRIMARY KEY (id)
);

CREATE INDEX journal_deal ON journal (account, deal_id, id);

CREATE INDEX journal_rule ON journal (account, rule, id);

CREATE TABLE made (
    id INTEGER NOT NULL,
    account BIGINT NOT NULL,
    rule VARCHAR(160) NOT NULL,
    deal_id BIGINT NOT NULL,
    slot VARCHAR(120) NOT NULL,
    kind VARCHAR(24) NOT NULL,
    entity_id BIGINT NOT NULL,
    at FLOAT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (account, kind, entity_id)
);

CREATE INDEX made_by ON made (account, deal_id, rule);

CREATE TABLE outbox (
    id INTEGER NOT NULL,
    account BIGINT NOT NULL,
    "key" VARCHAR(240) NOT NULL,
    event_id BIGINT,
    rule VARCHAR(160) NOT NULL,
    deal_id BIGINT NOT NULL,
    kind VARCHAR(24) NOT NULL,
    payload TEXT NOT NULL,
    state VARCHAR(8) NOT NULL,
    after_id BIGINT,
    attempts INTEGER NOT NULL,
    due_at FLOAT NOT NULL,
    created_at FLOAT NOT NULL,
    sent_at FLOAT,
    done_at FLOAT,
    result TEXT,
    error TEXT,
    PRIMARY KEY (id),
    UNIQUE (account, "key")
);

CREATE INDEX outbox_deal ON outbox (account, deal_id);

CREATE INDEX outbox_open ON outbox (account, id) WHERE state IN ('waiting', 'ready', 'sending', 'doubt');
