INSERT INTO keyturn_refresh_families (
	id, issuer_uid, client_id, subject, granted, created_at, expires_at,
	token_hash, token_issued_at, token_expires_at, revoked_at, revocation_reason
) VALUES (
	'bfd723c5f82c05cf4bfe84f7f661557e', 'uid-of-orders', 'shop.batch', 'system:serviceaccount:shop:batch',
	'{"issuer":{"namespace":"shop","name":"orders","uid":"uid-of-orders"},"client":{"namespace":"shop","name":"batch","uid":"uid-of-batch"},"clientID":"shop.batch","subject":"system:serviceaccount:shop:batch","audiences":["https://orders.example"]}',
	1800000000, 2000000000,
	'53708d2b18bd90bd21108878bc8e81202a90bbeeb15d9b85c3ed2756a1c5c0b7', 1800000000, 2000000000, 0, ''
);
