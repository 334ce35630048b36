package api_test

import (
	"strconv"
)

// What a controller must never be able to write.

func statusBound(refused, message string, value, neighbour any) bound {
	return bound{
		before:     edit{},
		refused:    edit{refused: value},
		wantErrors: []string{message},
		accepted:   edit{refused: neighbour},
	}
}

func statusTextBounds(path string, most int) bounds {
	return bounds{
		path + " is empty":    statusBound(path, path+`: Invalid value: "": `, "", "x"),
		path + " is too long": statusBound(path, path+": Too long: may not be more than "+strconv.Itoa(most)+" bytes", text(most+1), text(most)),
	}
}

func instantBounds(path string) bounds {
	return bounds{
		path + " is a word": statusBound(path, path+`: Invalid value: "now": `, "now", "2030-12-31T23:59:59Z"),
	}
}

// commonStatusBounds are those of both kinds.
func commonStatusBounds() bounds {
	const conditions = "status.conditions"
	condition := func(i int) any {
		return map[string]any{
			"type": "Type" + strconv.Itoa(i), "status": "True", "reason": "Reason", "message": "",
			"lastTransitionTime": "2030-12-31T23:59:59Z",
		}
	}
	return bounds{
		"an empty status":          statusBound("status", "in body should have at least 1 properties", map[string]any{}, map[string]any{"observedGeneration": int64(1)}),
		"an empty conditions list": statusBound(conditions, "conditions in body should have at least 1 items", []any{}, list(1, condition)),
		"nine conditions":          statusBound(conditions, "status.conditions: Too many: 9: must have at most 8 items", list(9, condition), list(8, condition)),
		"one condition twice":      statusBound(conditions, "status.conditions[1]: Duplicate value", []any{condition(0), condition(0)}, list(2, condition)),
		"a generation before none": statusBound("status.observedGeneration", "observedGeneration in body should be greater than or equal to -1", int64(-2), int64(-1)),
	}
}

func serviceTokenStatusBounds() bounds {
	return join(
		commonStatusBounds(),
		statusTextBounds("status.keyID", 43),
		statusTextBounds("status.tokenID", 64),
		instantBounds("status.issuedAt"),
		instantBounds("status.expiresAt"),
		instantBounds("status.nextRenewalTime"),
	)
}

func signingKeyStatusBounds() bounds {
	const keys = "status.keys"
	key := func(i int) any { return map[string]any{"id": "key" + strconv.Itoa(i), "state": "Active"} }
	one := func(field string, value any) any {
		changed := map[string]any{"id": "key", "state": "Active"}
		if value == nil {
			delete(changed, field)
		} else {
			changed[field] = value
		}
		return []any{changed}
	}
	found := join(
		bounds{"a ring generation before first": statusBound("status.ringGeneration", "ringGeneration in body should be greater than or equal to 1", int64(0), int64(1))},
		commonStatusBounds(),
		statusTextBounds("status.issuer", 1024),
		statusTextBounds("status.activeKeyID", 43),
		instantBounds("status.nextTransitionTime"),
		bounds{
			"an empty list of keys":        statusBound(keys, "keys in body should have at least 1 items", []any{}, list(1, key)),
			"85 keys":                      statusBound(keys, "status.keys: Too many: 85: must have at most 84 items", list(85, key), list(84, key)),
			"one key twice":                statusBound(keys, "status.keys[1]: Duplicate value", []any{key(0), key(0)}, list(2, key)),
			"a key without an ID":          statusBound(keys, "status.keys[0].id: Required value", one("id", nil), one("id", "x")),
			"a key with an empty ID":       statusBound(keys, "keys[0].id in body should be at least 1 chars long", one("id", ""), one("id", "x")),
			"a key with a long ID":         statusBound(keys, "status.keys[0].id: Too long: may not be more than 43 bytes", one("id", text(44)), one("id", text(43))),
			"a key without a state":        statusBound(keys, "status.keys[0].state: Required value", one("state", nil), one("state", "Pending")),
			"a key in no such state":       statusBound(keys, `status.keys[0].state: Unsupported value: "Lost"`, one("state", "Lost"), one("state", "Revoked")),
			"a key with no such algorithm": statusBound(keys, `status.keys[0].algorithm: Unsupported value: "HS256"`, one("algorithm", "HS256"), one("algorithm", "ES256")),
		},
	)
	for _, field := range []string{"createdAt", "publishedAt", "activatedAt", "retiredAt", "removeAfter"} {
		found["a key with "+field+" a word"] = statusBound(keys, "keys[0]."+field+" in body must be of type date-time",
			one(field, "now"), one(field, "2030-12-31T23:59:59Z"))
	}
	return found
}
