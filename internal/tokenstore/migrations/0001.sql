-- One form for SQLite and PostgreSQL. Instants are seconds since 1970.

CREATE TABLE keyturn_token_store_version (
	version BIGINT NOT NULL
);

CREATE TABLE keyturn_refresh_families (
	id                TEXT PRIMARY KEY,
	issuer_uid        TEXT NOT NULL,
	client_id         TEXT NOT NULL,
	subject           TEXT NOT NULL,
	granted           TEXT NOT NULL, -- JSON
	created_at        BIGINT NOT NULL,
	expires_at        BIGINT NOT NULL,
	-- The newest token of the family; SHA-256 in hexadecimal digits.
	token_hash        TEXT NOT NULL,
	token_issued_at   BIGINT NOT NULL,
	token_expires_at  BIGINT NOT NULL,
	revoked_at        BIGINT NOT NULL, -- 0: it is not
	revocation_reason TEXT NOT NULL
);

-- For sweeping, and for TokenRevocations.
CREATE INDEX keyturn_refresh_families_end ON keyturn_refresh_families (token_expires_at);
CREATE INDEX keyturn_refresh_families_issuer ON keyturn_refresh_families (issuer_uid, created_at);

CREATE TABLE keyturn_used_assertions (
	hash       TEXT PRIMARY KEY, -- SHA-256 in hexadecimal digits
	expires_at BIGINT NOT NULL
);

CREATE INDEX keyturn_used_assertions_end ON keyturn_used_assertions (expires_at);
